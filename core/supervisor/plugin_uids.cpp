#include "core/supervisor/plugin_uids.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"
#include "core/base/json.hpp"
#include "core/base/log.hpp"
#include "core/config/settings.hpp"
#include "core/trust/manifest.hpp"

namespace hawser::supervisor {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFileBytesMax = 256 * 1024;  // 1000 ids of 128 bytes, and some
constexpr int kDepthMax = 32;

using Folder = std::unique_ptr<DIR, int (*)(DIR*)>;

Folder open_folder(int parent, const char* name) {
  Descriptor fd(::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  DIR* folder = fd ? ::fdopendir(fd.get()) : nullptr;
  if (folder) fd.release();
  return {folder, ::closedir};
}

// Gives `uid` what lies in the folder and belongs to root or to `before`, deepest first.
void hand_over(int parent, const char* name, uid_t before, uid_t uid, int depth) {
  const Folder folder = open_folder(parent, name);
  if (!folder || depth > kDepthMax) return;
  const int fd = ::dirfd(folder.get());
  while (const dirent* entry = ::readdir(folder.get())) {
    const std::string child = entry->d_name;
    if (child == "." || child == "..") continue;
    struct stat about {};
    if (::fstatat(fd, child.c_str(), &about, AT_SYMLINK_NOFOLLOW) != 0) continue;
    const bool is_folder = S_ISDIR(about.st_mode);
    if (is_folder) hand_over(fd, child.c_str(), before, uid, depth + 1);
    const bool is_ours = about.st_uid == 0 || about.st_uid == before;
    // A second name of a file can stand anywhere, where its owner must not change.
    if (!is_ours || !(is_folder || (S_ISREG(about.st_mode) && about.st_nlink == 1))) continue;
    if (::fchownat(fd, child.c_str(), uid, uid, AT_SYMLINK_NOFOLLOW) != 0)
      spdlog::warn("cannot give {} to uid {}: {}", child, uid, std::strerror(errno));
  }
}

}  // namespace

PluginUids::PluginUids(fs::path state_dir, std::int64_t first) : state_dir_(std::move(state_dir)), first_(first) {
  const fs::path file = state_dir_ / kFile;
  const auto text = read_file(file, kFileBytesMax);
  if (!text) return;  // the first start
  const auto object = json::parse_object(*text);
  if (!object) {
    spdlog::warn("{} is damaged: every plugin gets a new uid", file.string());
    return;
  }
  for (const auto& id : object.value()->getNames()) {
    const auto uid = json::integer_member(*object, id, 1, 4'294'967'294);
    if (trust::is_plugin_id(id) && uid && !is_taken(*uid)) uids_[id] = *uid;
  }
  forget_strangers();
}

void PluginUids::forget_strangers() {
  std::erase_if(uids_, [this](const auto& entry) {
    return entry.second < first_ || entry.second >= first_ + config::kPluginUids;
  });
}

void PluginUids::set_first(std::int64_t first) {
  first_ = first;
  forget_strangers();
}

bool PluginUids::is_taken(std::int64_t uid) const {
  return std::any_of(uids_.begin(), uids_.end(), [uid](const auto& entry) { return entry.second == uid; });
}

std::optional<uid_t> PluginUids::uid_of(const std::string& plugin) {
  const auto known = uids_.find(plugin);
  if (known != uids_.end()) return static_cast<uid_t>(known->second);
  std::int64_t uid = first_;
  while (uid < first_ + config::kPluginUids && is_taken(uid)) ++uid;
  if (uid == first_ + config::kPluginUids) {
    spdlog::error("{}: all {} uids from plugins.first_uid on are taken; choose another first_uid", plugin,
                  config::kPluginUids);
    return std::nullopt;
  }
  uids_[plugin] = uid;
  auto object = json::make_object();
  for (const auto& [id, number] : uids_) object->set(id, static_cast<Poco::Int64>(number));
  if (const auto kept = write_file_atomically(state_dir_ / kFile, json::to_text(object) + "\n"); !kept)
    spdlog::error("{}: its uid is not kept: {}", plugin, kept.error().message);
  return static_cast<uid_t>(uid);
}

Status prepare_state_folder(const fs::path& folder, std::optional<uid_t> uid) {
  if (const auto made = make_folder(folder); !made) return made;
  struct stat about {};
  if (::lstat(folder.c_str(), &about) != 0 || !S_ISDIR(about.st_mode))
    return Error{"io_error", folder.string() + " is no folder; remove it"};
  if (!uid || about.st_uid == *uid) return ok();
  hand_over(AT_FDCWD, folder.c_str(), about.st_uid, *uid, 0);
  if (::lchown(folder.c_str(), *uid, *uid) != 0)  // last: until then it is done again
    return Error{"io_error", "cannot give " + folder.string() + " to uid " + std::to_string(*uid) + ": " +
                                 std::strerror(errno)};
  return ok();
}

}  // namespace hawser::supervisor
