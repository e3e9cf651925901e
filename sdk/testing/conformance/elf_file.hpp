#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/result.hpp"

namespace hawser::sdk::conformance {

inline constexpr std::size_t kLibraryBytesMax = std::size_t{512} * 1024 * 1024;

// What the loader will read in a shared library, read without loading it.
struct ElfFile {
  std::vector<std::string> exported;   // defined, global and visible
  std::vector<std::string> undefined;  // to be found elsewhere
  std::vector<std::string> needed;     // libraries
  std::vector<std::string> run_paths;
  bool executable_stack = false;
};

// The Error is one sentence. Of this machine's word size and byte order only.
Result<ElfFile> read_elf(const std::filesystem::path& path);

}  // namespace hawser::sdk::conformance
