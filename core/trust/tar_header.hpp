#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.hpp"

// One block of a tar archive, as ustar, GNU tar and pax write it. Hostile data. Any thread.
namespace hawser::trust {

inline constexpr std::size_t kTarBlockBytes = 512;

struct TarHeader {
  enum class Kind { File, Folder, Pax, LongName, Other };
  Kind kind = Kind::Other;
  char type = '0';   // as it stands there
  std::string name;  // as it stands there
  std::uint64_t size = 0;
};

// True for a block of zeros, of which two end an archive.
bool is_tar_end(std::string_view block);
// `block` has kTarBlockBytes. The Error is a clause to go behind the archive's name.
Result<TarHeader> read_tar_header(std::string_view block);
// The path that a pax header sets for the next entry; empty where it sets none. What it says of sizes and links is
// refused: no plugin needs it.
Result<std::string> path_of_pax(std::string_view records);

}  // namespace hawser::trust
