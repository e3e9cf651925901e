#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "core/base/result.hpp"

// Whole small files, read with a bound and written so that a power cut leaves the old one or the new one.
namespace hawser {

// Owns a file descriptor; -1 when empty.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    reset(other.release());
    return *this;
  }
  ~Descriptor() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

// The whole regular file, at most `limit` bytes; a longer one, or what is no regular file, is an error that names the
// path and the system's reason.
Result<std::string> read_file(const std::filesystem::path& path, std::size_t limit);

// Writes a temporary file beside `path`, syncs it, renames it over `path` and syncs the folder.
Status write_file_atomically(const std::filesystem::path& path, std::string_view content, mode_t mode = 0600);

// Creates the folder and its parents with `mode` where they are missing. An existing folder is left as it is.
Status make_folder(const std::filesystem::path& path, mode_t mode = 0700);

}  // namespace hawser
