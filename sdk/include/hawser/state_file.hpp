// hawser/state_file.hpp - small files in "plugin.state_dir" that survive a power loss. Header-only, C++20, Linux.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace hawser::sdk {

// A descriptor that closes itself.
class FileDescriptor {
 public:
  FileDescriptor() = default;
  explicit FileDescriptor(int fd) : fd_(fd) {}
  FileDescriptor(FileDescriptor&& other) noexcept : fd_(other.release()) {}
  FileDescriptor& operator=(FileDescriptor&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = other.release();
    }
    return *this;
  }
  ~FileDescriptor() { reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  int release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }
  void reset() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_ = -1;
};

[[noreturn]] inline void throw_errno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

// Writes everything or throws std::system_error.
inline void write_all(int fd, std::string_view data, const std::string& what) {
  while (!data.empty()) {
    const ssize_t written = ::write(fd, data.data(), data.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) throw_errno("writing " + what);
    data.remove_prefix(static_cast<std::size_t>(written));
  }
}

// The whole content; nothing when there is no such file. Throws std::system_error, also for more than `max_bytes`.
inline std::optional<std::string> read_file(const std::string& path, std::size_t max_bytes) {
  const FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) {
    if (errno == ENOENT) return std::nullopt;
    throw_errno("opening " + path);
  }
  std::string content;
  char buffer[16 * 1024];
  for (;;) {
    const ssize_t got = ::read(file.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw_errno("reading " + path);
    if (got == 0) return content;
    content.append(buffer, static_cast<std::size_t>(got));
    if (content.size() > max_bytes) {
      throw std::system_error(EFBIG, std::generic_category(),
                              path + " has more than " + std::to_string(max_bytes) + " bytes");
    }
  }
}

// A folder's entries are on disk after this.
inline void sync_folder(const std::string& folder) {
  const FileDescriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened || ::fsync(opened.get()) != 0) throw_errno("syncing the folder " + folder);
}

// After it returns the file has the new content, also after a power loss; if it throws or the power goes, the old one.
inline void write_file_atomically(const std::string& path, std::string_view content, mode_t mode = 0600) {
  const std::string temporary = path + ".new";
  {
    const FileDescriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode));
    if (!file) throw_errno("creating " + temporary);
    write_all(file.get(), content, temporary);
    if (::fsync(file.get()) != 0) throw_errno("syncing " + temporary);
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) throw_errno("renaming " + temporary);
  const auto slash = path.rfind('/');
  sync_folder(slash == std::string::npos ? "." : path.substr(0, slash + 1));
}

// Removes a file or an empty folder; one that is not there is fine.
inline void remove_if_there(const std::string& path) {
  if (::remove(path.c_str()) != 0 && errno != ENOENT) throw_errno("removing " + path);
}

}  // namespace hawser::sdk
