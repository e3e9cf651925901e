#pragma once

#include <filesystem>

#include "core/base/file_writer.hpp"
#include "core/config/site_profile.hpp"

namespace hawser::daemon {

inline constexpr std::size_t kWishesBytesMax = 1024 * 1024;  // of the file: a message of 256 KiB, and commands

// What the cloud wants of the plugins, over restarts and while it is away (sdk-11): one file in the state folder, its
// first line the SHA-256 of the rest. Owned by main(), lives on the loop's thread; `write` hands over.
class KeptWishes {
 public:
  // A missing file is none; a broken one is logged, set aside as <file>.broken, and none.
  explicit KeptWishes(std::filesystem::path file, WriteFile write = write_at_once);

  const config::CloudWishes& value() const { return value_; }
  void set(config::CloudWishes value);

 private:
  std::filesystem::path file_;
  WriteFile write_;
  config::CloudWishes value_;
};

}  // namespace hawser::daemon
