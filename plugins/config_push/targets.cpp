#include "targets.hpp"

#include <fcntl.h>
#include <grp.h>
#include <linux/openat2.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <system_error>
#include <vector>

#include "refusal.hpp"

namespace hawser::config_push {

namespace {

constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW;
constexpr const char* kRoot = "root";

// Behind a sentence that a name was not found there.
std::string unless_readable(const char* file) {
  if (sdk::FileDescriptor(::open(file, O_RDONLY | O_CLOEXEC))) return "";
  return std::string(", as far as this plugin can see: it may not read ") + file + "; permit file.read:" + file;
}

sdk::FileDescriptor open_at(int folder, const std::string& name, int flags, mode_t mode = 0) {
  return sdk::FileDescriptor(::openat(folder, name.c_str(), flags | O_CLOEXEC | O_NOFOLLOW, mode));
}

[[noreturn]] void refuse_folder(const std::string& folder) {
  if (errno == ENOENT) throw Refusal("path_refused", "the folder /" + folder + " does not exist");
  if (errno == ELOOP || errno == ENOTDIR || errno == EXDEV) {
    throw Refusal("path_refused", "a component of /" + folder + " is a link or no folder");
  }
  sdk::throw_errno("opening the folder /" + folder);
}

// One component after the other, none of them a link.
sdk::FileDescriptor walk(int root, const std::string& folder) {
  sdk::FileDescriptor at(::openat(root, ".", kFolderFlags));
  std::string_view rest = folder;
  while (!rest.empty() && at) {
    const std::string component(rest.substr(0, rest.find('/')));
    rest.remove_prefix(std::min(rest.size(), component.size() + 1));
    at = sdk::FileDescriptor(::openat(at.get(), component.c_str(), kFolderFlags));
  }
  return at;
}

// A plain file with one name, opened; an empty descriptor when there is none.
sdk::FileDescriptor open_target(const std::string& path, struct stat& found) {
  const sdk::FileDescriptor folder = open_folder_of(path);
  const std::string name = name_of(path);
  if (::fstatat(folder.get(), name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return {};
    sdk::throw_errno("looking at " + path);
  }
  const auto refuse_special = [&] {
    if (!S_ISREG(found.st_mode)) throw Refusal("path_refused", path + " is a link, a folder or a special file");
    if (found.st_nlink != 1) throw Refusal("path_refused", path + " has more than one name (hard links)");
  };
  refuse_special();
  sdk::FileDescriptor file = open_at(folder.get(), name, O_RDONLY | O_NONBLOCK);
  if (!file || ::fstat(file.get(), &found) != 0) sdk::throw_errno("opening " + path);
  refuse_special();  // it may have been changed for another one in between
  return file;
}

void copy_into(int to, const std::string& content_file) {
  const sdk::FileDescriptor from(::open(content_file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!from) sdk::throw_errno("opening " + content_file);
  std::vector<char> buffer(64 * 1024);
  for (;;) {
    const ssize_t got = ::read(from.get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) sdk::throw_errno("reading " + content_file);
    if (got == 0) return;
    sdk::write_all(to, {buffer.data(), static_cast<std::size_t>(got)}, "the staged file");
  }
}

template <class Id>
std::optional<Id> number(const std::string& text) {
  Id id{};
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (fault != std::errc() || end != text.data() + text.size() || id == static_cast<Id>(-1)) return std::nullopt;
  return id;
}

}  // namespace

sdk::FileDescriptor open_folder_of(const std::string& path, Resolve how) {
  const auto slash = path.rfind('/');
  const std::string folder = slash == 0 ? "" : path.substr(1, slash - 1);
  const sdk::FileDescriptor root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) sdk::throw_errno("opening /");
  if (how == Resolve::openat2_if_there) {
    open_how wanted{};
    wanted.flags = static_cast<unsigned>(kFolderFlags);
    wanted.resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS | RESOLVE_BENEATH;
    const char* name = folder.empty() ? "." : folder.c_str();
    sdk::FileDescriptor opened(static_cast<int>(::syscall(SYS_openat2, root.get(), name, &wanted, sizeof wanted)));
    if (opened) return opened;
    if (errno != ENOSYS && errno != EPERM) refuse_folder(folder);
  }
  sdk::FileDescriptor opened = walk(root.get(), folder);
  if (!opened) refuse_folder(folder);
  return opened;
}

std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::optional<Present> look_at(const std::string& path) {
  struct stat found {};
  const sdk::FileDescriptor file = open_target(path, found);
  if (!file) return std::nullopt;
  return Present{{found.st_mode & 07777, found.st_uid, found.st_gid}, static_cast<std::size_t>(found.st_size)};
}

std::string read_target(const std::string& path, std::size_t max_bytes) {
  struct stat found {};
  const sdk::FileDescriptor file = open_target(path, found);
  if (!file) return {};
  std::string content;
  char buffer[16 * 1024];
  for (;;) {
    const ssize_t got = ::read(file.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) sdk::throw_errno("reading " + path);
    if (got == 0) return content;
    content.append(buffer, static_cast<std::size_t>(got));
    if (content.size() > max_bytes) throw Refusal("too_big", path + " is too large to be kept for putting it back");
  }
}

void stage(const std::string& path, const std::string& temporary, const std::string& content_file,
           const Attributes& attributes) {
  const sdk::FileDescriptor folder = open_folder_of(path);
  ::unlinkat(folder.get(), temporary.c_str(), 0);  // of an earlier try; the name is ours
  const sdk::FileDescriptor file = open_at(folder.get(), temporary, O_WRONLY | O_CREAT | O_EXCL, 0600);
  if (!file) sdk::throw_errno("creating a file beside " + path);
  copy_into(file.get(), content_file);
  struct stat made {};
  if (::fstat(file.get(), &made) != 0) sdk::throw_errno("looking at the staged file of " + path);
  if ((made.st_uid != attributes.owner || made.st_gid != attributes.group) &&
      ::fchown(file.get(), attributes.owner, attributes.group) != 0) {
    sdk::throw_errno("giving the new " + path + " its owner and group");
  }
  if (::fchmod(file.get(), attributes.mode) != 0) sdk::throw_errno("giving the new " + path + " its mode");
  if (::fsync(file.get()) != 0) sdk::throw_errno("syncing the new " + path);
}

void swap_in(const std::string& path, const std::string& temporary) {
  const sdk::FileDescriptor folder = open_folder_of(path);
  if (::renameat(folder.get(), temporary.c_str(), folder.get(), name_of(path).c_str()) != 0) {
    sdk::throw_errno("putting the new " + path + " in its place");
  }
  if (::fsync(folder.get()) != 0) sdk::throw_errno("syncing the folder of " + path);
}

void remove_target(const std::string& path) {
  const sdk::FileDescriptor folder = open_folder_of(path);
  if (::unlinkat(folder.get(), name_of(path).c_str(), 0) != 0 && errno != ENOENT) sdk::throw_errno("removing " + path);
  if (::fsync(folder.get()) != 0) sdk::throw_errno("syncing the folder of " + path);
}

void remove_temporary(const std::string& path, const std::string& temporary) {
  const sdk::FileDescriptor folder = open_folder_of(path);
  if (::unlinkat(folder.get(), temporary.c_str(), 0) != 0 && errno != ENOENT) {
    sdk::throw_errno("removing the staged file of " + path);
  }
}

// Root is 0 everywhere, also where the plugin may not read /etc/passwd.
uid_t owner_of(const std::string& name) {
  if (name == kRoot) return 0;
  if (const auto id = number<uid_t>(name)) return *id;
  passwd entry{};
  passwd* found = nullptr;
  std::vector<char> buffer(16 * 1024);
  if (::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || !found) {
    throw Refusal("owner_unknown", "there is no user " + name + " on this device" + unless_readable("/etc/passwd"));
  }
  return found->pw_uid;
}

gid_t group_of(const std::string& name) {
  if (name == kRoot) return 0;
  if (const auto id = number<gid_t>(name)) return *id;
  group entry{};
  group* found = nullptr;
  std::vector<char> buffer(16 * 1024);
  if (::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || !found) {
    throw Refusal("owner_unknown", "there is no group " + name + " on this device" + unless_readable("/etc/group"));
  }
  return found->gr_gid;
}

}  // namespace hawser::config_push
