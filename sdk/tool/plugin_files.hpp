#pragma once

#include <filesystem>
#include <string>

#include "core/base/result.hpp"

namespace hawser::tool {

inline constexpr std::size_t kConfigBytesMax = 256 * 1024;

// The library that a person means with a folder or a file.
Result<std::filesystem::path> library_of(const std::filesystem::path& given);

// A configuration as a plugin gets it: the file itself when it is JSON, else the [config] of a file for plugins.d.
Result<std::string> read_config(const std::filesystem::path& path);

// A new folder of its own; it and all in it goes with this object.
class TemporaryFolder {
 public:
  TemporaryFolder();  // throws std::system_error
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace hawser::tool
