#include "core/supervisor/disk_walk.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <string_view>

#include "core/base/files.hpp"

namespace hawser::supervisor {
namespace {
constexpr std::int64_t kBlockBytes = 512;  // of st_blocks (stat(2))
}

DiskWalk::DiskWalk(const std::filesystem::path& folder) { enter(AT_FDCWD, folder.c_str()); }

void DiskWalk::enter(int parent, const char* name) {
  if (open_.size() >= kDepthMax) {
    too_deep_ = true;
    return;
  }
  Descriptor fd(::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  DIR* folder = fd ? ::fdopendir(fd.get()) : nullptr;
  if (!folder) return;  // gone by now
  fd.release();
  open_.emplace_back(folder, ::closedir);
}

bool DiskWalk::step(std::size_t entries) {
  for (; entries > 0 && !open_.empty(); --entries) {
    DIR* folder = open_.back().get();
    const dirent* entry = ::readdir(folder);
    if (!entry) {
      open_.pop_back();
      continue;
    }
    const std::string_view name = entry->d_name;
    struct stat about {};
    if (name == "." || name == ".." || ::fstatat(::dirfd(folder), entry->d_name, &about, AT_SYMLINK_NOFOLLOW) != 0)
      continue;
    bytes_ += std::max<std::int64_t>(about.st_blocks * kBlockBytes, kEntryBytesLeast);
    if (S_ISDIR(about.st_mode)) enter(::dirfd(folder), entry->d_name);
  }
  return open_.empty();
}

}  // namespace hawser::supervisor
