#include "core/base/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/base/encoding.hpp"

namespace hawser {
namespace {

Error failure(const std::string& doing, const std::filesystem::path& path) {
  const int number = errno;
  return {number == ENOENT ? "not_found" : "io_error",
          "cannot " + doing + " " + path.string() + ": " + std::strerror(number)};
}

bool write_all(int fd, std::string_view content) {
  while (!content.empty()) {
    const ssize_t done = ::write(fd, content.data(), content.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return false;
    content.remove_prefix(static_cast<std::size_t>(done));
  }
  return true;
}

}  // namespace

void Descriptor::reset(int fd) {
  if (fd_ >= 0 && fd_ != fd) ::close(fd_);
  fd_ = fd;
}

Result<std::string> read_file(const std::filesystem::path& path, std::size_t limit) {
  // O_NONBLOCK: a FIFO in the place of a file must not hold us up before fstat unmasks it.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return failure("open", path);
  struct stat about {};
  if (::fstat(file.get(), &about) != 0) return failure("look at", path);
  if (!S_ISREG(about.st_mode)) return Error{"io_error", path.string() + " is not a regular file"};
  std::string content;
  char piece[16384];
  for (;;) {
    const ssize_t got = ::read(file.get(), piece, sizeof piece);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failure("read", path);
    if (got == 0) return content;
    if (static_cast<std::size_t>(got) > limit - content.size())
      return Error{"too_big", path.string() + " is larger than the " + std::to_string(limit) + " bytes allowed"};
    content.append(piece, static_cast<std::size_t>(got));
  }
}

Status write_file_atomically(const std::filesystem::path& path, std::string_view content, mode_t mode) {
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : ".";
  const std::filesystem::path fresh = folder / ("." + path.filename().string() + "." + random_uuid() + ".new");
  {
    const Descriptor file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
    if (!file) return failure("create", fresh);
    if (::fchmod(file.get(), mode) != 0 || !write_all(file.get(), content) || ::fsync(file.get()) != 0) {
      const Error problem = failure("write", fresh);
      ::unlink(fresh.c_str());
      return problem;
    }
  }
  if (::rename(fresh.c_str(), path.c_str()) != 0) {
    const Error problem = failure("replace", path);
    ::unlink(fresh.c_str());
    return problem;
  }
  const Descriptor parent(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!parent || ::fsync(parent.get()) != 0) return failure("sync", folder);
  return ok();
}

Status make_folder(const std::filesystem::path& path, mode_t mode) {
  std::filesystem::path step;
  for (const auto& part : path) {
    step /= part;
    if (step.empty() || ::mkdir(step.c_str(), mode) == 0 || errno == EEXIST) continue;
    return failure("create the folder", step);
  }
  struct stat about {};
  if (::stat(path.c_str(), &about) != 0) return failure("look at", path);
  if (!S_ISDIR(about.st_mode)) return Error{"io_error", path.string() + " is not a folder"};
  return ok();
}

}  // namespace hawser
