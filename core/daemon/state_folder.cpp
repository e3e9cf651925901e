#include "core/daemon/state_folder.hpp"

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <iterator>

#include "core/base/encoding.hpp"

namespace hawser::daemon {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kShownMax = 256;

std::string shown(const fs::path& path) { return printable(path.string(), kShownMax); }

std::string mode_of(const struct stat& about) {
  std::array<char, 8> text{};
  std::snprintf(text.data(), text.size(), "%04o", static_cast<unsigned>(about.st_mode & 07777));
  return text.data();
}

Error refused(const fs::path& state_dir, const std::string& why) {
  return {"bad_config", "--state-dir " + shown(state_dir) + ": " + why};
}

// One folder or link on the way, or the state folder itself.
Status check_step(const fs::path& state_dir, const fs::path& step, bool last) {
  struct stat about {};
  if (::lstat(step.c_str(), &about) != 0) return ok();  // not there yet: hawserd makes it, for itself alone
  const uid_t own = ::geteuid();
  if (about.st_uid != 0 && about.st_uid != own)
    return refused(state_dir, shown(step) + " belongs to uid " + std::to_string(about.st_uid) +
                                  ", who could put another folder in its place; chown it to " +
                                  (own == 0 ? "root" : "uid " + std::to_string(own)) + ", or name another folder");
  if (S_ISLNK(about.st_mode)) return ok();  // where it leads is checked, too
  if (!S_ISDIR(about.st_mode)) return refused(state_dir, shown(step) + " is no folder; remove it, or name another one");
  // A user's own folders are often open to the user's own group; root has no such group.
  const mode_t foreign = last || own == 0 ? S_IWGRP | S_IWOTH : S_IWOTH;
  if ((about.st_mode & foreign) == 0 || (!last && (about.st_mode & S_ISVTX) != 0)) return ok();
  return refused(state_dir, shown(step) + " has mode " + mode_of(about) +
                                ", so that others than its owner may change what is in it; chmod go-w it, or name "
                                "another folder");
}

Status check_way(const fs::path& state_dir, const fs::path& way) {
  fs::path step;
  for (auto part = way.begin(); part != way.end(); ++part) {
    step /= *part;
    if (auto fits = check_step(state_dir, step, std::next(part) == way.end()); !fits) return fits;
  }
  return ok();
}

// Of the nearest folder that is there.
std::vector<std::string> warnings_of(const fs::path& state_dir) {
  constexpr std::uint32_t kCifs = 0xFF534D42, kSmb2 = 0xFE534D42;
  std::error_code unknown;
  fs::path there = state_dir;
  while (there.has_relative_path() && !fs::exists(there, unknown)) there = there.parent_path();
  struct statfs about {};
  if (::statfs(there.c_str(), &about) != 0) return {};
  const auto kind = static_cast<std::uint32_t>(about.f_type);
  const std::string where = "--state-dir " + shown(state_dir) + ": ";
  if (kind == TMPFS_MAGIC || kind == RAMFS_MAGIC)
    return {where + "is in memory (tmpfs): device key and spooled messages are gone after the next boot"};
  if (kind == NFS_SUPER_MAGIC || kind == SMB_SUPER_MAGIC || kind == kCifs || kind == kSmb2)
    return {where +
            "is on a file system of the network: what was accepted can be lost with it, and locks may not hold"};
  return {};
}

}  // namespace

Result<std::vector<std::string>> check_state_folder(const fs::path& path) {
  if (!path.is_absolute())
    return Error{"bad_usage",
                 "--state-dir is \"" + shown(path) +
                     "\", must be an absolute path, so that it does not depend on where hawserd is started"};
  if (std::find(path.begin(), path.end(), fs::path("..")) != path.end())
    return Error{"bad_usage", "--state-dir is \"" + shown(path) +
                                  "\", must be a path without .., which leads elsewhere behind a link"};
  fs::path way = path.lexically_normal();
  if (!way.has_filename()) way = way.parent_path();  // "/x/" has an empty last part
  if (auto fits = check_way(path, way); !fits) return fits.error();
  std::error_code unknown;
  const fs::path real = fs::weakly_canonical(way, unknown);
  if (unknown) return Error{"io_error", "--state-dir " + shown(path) + ": " + unknown.message()};
  if (auto fits = check_way(path, real); !fits) return fits.error();
  return warnings_of(way);
}

}  // namespace hawser::daemon
