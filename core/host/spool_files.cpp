#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "core/base/files.hpp"
#include "core/host/spool.hpp"

namespace hawser::host {
namespace {

constexpr std::size_t kOpenMax = 4;  // descriptors kept open: the newest segment, the oldest, and two between
constexpr mode_t kFolderMode = 0700, kFileMode = 0600;
constexpr const char* kBootFile = "/proc/sys/kernel/random/boot_id";

class Folder : public SpoolFiles {
 public:
  explicit Folder(const std::filesystem::path& path) : path_(whole(path)) {
    if (const auto boot = read_file(kBootFile, 64)) boot_ = boot->substr(0, boot->find('\n'));
  }

  // An Error when it is there and not ours alone.
  Status check() const {
    struct stat found {};
    if (::lstat(path_.c_str(), &found) != 0) return errno == ENOENT ? ok() : failed("cannot be looked at", "");
    const std::string fix = "; mend it with `chown -R " + std::to_string(::geteuid()) + " " + path_.string() +
                            "` and `chmod 700 " + path_.string() + "`, or remove it with what is in it";
    if (!S_ISDIR(found.st_mode)) return Error{"denied", path_.string() + " is no folder; move it away"};
    if (found.st_uid != ::geteuid())
      return Error{"denied", path_.string() + " belongs to user " + std::to_string(found.st_uid) + ", not to " +
                                 std::to_string(::geteuid()) + fix};
    if ((found.st_mode & 0077) != 0) return Error{"denied", path_.string() + " is open to other users" + fix};
    return ok();
  }

  Result<std::vector<std::string>> list() override {
    std::vector<std::string> names;
    DIR* const folder = ::opendir(path_.c_str());
    if (!folder) {
      if (errno == ENOENT) return names;
      return failed("cannot be listed", "").error();
    }
    errno = 0;
    while (const dirent* entry = ::readdir(folder)) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(name);
    }
    const int problem = errno;
    ::closedir(folder);
    errno = problem;
    if (problem != 0) return failed("cannot be listed", "").error();
    return names;
  }

  Result<std::string> read(const std::string& name, std::uint64_t offset, std::size_t bytes) override {
    const int fd = descriptor(name);
    if (fd < 0) return failed("cannot be opened", name).error();
    std::string content(bytes, '\0');
    ssize_t got;
    do {
      got = ::pread(fd, content.data(), bytes, static_cast<off_t>(offset));
    } while (got < 0 && errno == EINTR);
    if (got < 0) return failed("cannot be read", name).error();
    content.resize(static_cast<std::size_t>(got));
    return content;
  }

  Result<std::uint64_t> size(const std::string& name) override {
    struct stat found {};
    if (::stat((path_ / name).c_str(), &found) != 0) return failed("cannot be looked at", name).error();
    return static_cast<std::uint64_t>(found.st_size);
  }

  Status create(const std::string& name) override {
    int fd = create_file(name);
    if (fd < 0 && errno == ENOENT) {
      if (Status made = make_folder(path_, kFolderMode); !made) return Error{"io", made.error().message};
      if (Status synced = sync_path(path_.parent_path()); !synced) return synced;
      fd = create_file(name);
    }
    if (fd < 0) return failed("cannot be made", name);
    keep(name, Descriptor(fd));
    return ok();
  }

  Status append(const std::string& name, std::string_view bytes) override {
    const int fd = descriptor(name);
    if (fd < 0) return failed("cannot be opened", name);
    while (!bytes.empty()) {
      const ssize_t done = ::write(fd, bytes.data(), bytes.size());
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) return failed("cannot be written", name);
      bytes.remove_prefix(static_cast<std::size_t>(done));
    }
    return ok();
  }

  Status cut(const std::string& name, std::uint64_t bytes) override {
    const int fd = descriptor(name);
    if (fd < 0 || ::ftruncate(fd, static_cast<off_t>(bytes)) != 0) return failed("cannot be cut", name);
    return ok();
  }

  Status sync(const std::string& name) override {
    const int fd = descriptor(name);
    if (fd < 0 || ::fdatasync(fd) != 0) return failed("cannot be synced", name);
    struct stat found {};
    if (::fstat(fd, &found) == 0 && found.st_nlink == 0) {  // what is written to it ends with this process
      forget(name);
      return Error{"io", (path_ / name).string() + " was removed while it was in use"};
    }
    return ok();
  }

  Status sync_folder() override { return sync_path(path_); }

  Status rename(const std::string& from, const std::string& to) override {
    forget(from);
    forget(to);
    if (::rename((path_ / from).c_str(), (path_ / to).c_str()) != 0) return failed("cannot be renamed", from);
    return ok();
  }

  Status remove(const std::string& name) override {
    forget(name);
    if (::unlink((path_ / name).c_str()) != 0 && errno != ENOENT) return failed("cannot be removed", name);
    return ok();
  }

  std::string boot() override { return boot_; }

 private:
  // So that its parent has a name, also of `spool` and of `spool/`.
  static std::filesystem::path whole(const std::filesystem::path& path) {
    std::error_code problem;
    const auto found = std::filesystem::absolute(path, problem);
    if (problem) return path;
    return found.has_filename() ? found : found.parent_path();
  }

  struct Open {
    std::string name;
    Descriptor file;
  };

  // With errno.
  Status failed(const char* what, const std::string& name) const {
    const int problem = errno;
    const std::string why =
        problem == EFBIG ? "the file size limit (RLIMIT_FSIZE) is reached" : std::string(std::strerror(problem));
    return Error{"io", (name.empty() ? path_ : path_ / name).string() + " " + what + ": " + why};
  }

  int create_file(const std::string& name) const {
    return ::open((path_ / name).c_str(), O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, kFileMode);
  }

  // Read only where the file system is; errno tells when it is negative.
  int descriptor(const std::string& name) {
    const auto found = std::find_if(open_.begin(), open_.end(), [&](const Open& each) { return each.name == name; });
    if (found != open_.end()) {
      std::rotate(found, found + 1, open_.end());  // the one used last is at the end
      return open_.back().file.get();
    }
    const std::string path = (path_ / name).string();
    int fd = ::open(path.c_str(), O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && (errno == EROFS || errno == EACCES)) fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0) keep(name, Descriptor(fd));
    return fd;
  }

  void keep(const std::string& name, Descriptor file) {
    if (open_.size() >= kOpenMax) open_.erase(open_.begin());
    open_.push_back({name, std::move(file)});
  }

  void forget(const std::string& name) {
    std::erase_if(open_, [&](const Open& each) { return each.name == name; });
  }

  Status sync_path(const std::filesystem::path& path) const {
    const Descriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder || ::fsync(folder.get()) != 0) {
      const int problem = errno;
      return Error{"io", path.string() + " cannot be synced: " + std::strerror(problem)};
    }
    return ok();
  }

  const std::filesystem::path path_;
  std::string boot_;
  std::vector<Open> open_;
};

}  // namespace

Result<std::unique_ptr<SpoolFiles>> spool_folder(const std::filesystem::path& folder) {
  std::signal(SIGXFSZ, SIG_IGN);
  auto files = std::make_unique<Folder>(folder);
  if (Status good = files->check(); !good) return good.error();
  return Result<std::unique_ptr<SpoolFiles>>(std::move(files));
}

}  // namespace hawser::host
