#include "core/trust/under_way.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace hawser::trust {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> leftovers_in(const fs::path& plugin_dir) {
  std::vector<fs::path> found;
  std::error_code ignored;
  for (fs::directory_iterator at(plugin_dir, ignored), end; !ignored && at != end; at.increment(ignored)) {
    const std::string name = at->path().filename().string();
    if (name.starts_with(kUnderWay) && name != kLockFile) found.push_back(at->path());
  }
  return found;
}

// Only under the lock.
void clean(const fs::path& plugin_dir) {
  std::error_code ignored;
  for (const auto& path : leftovers_in(plugin_dir)) fs::remove_all(path, ignored);
}

// A file that nobody else may open, since whoever may can hold the lock for good.
Descriptor open_lock(const fs::path& plugin_dir) {
  const fs::path file = plugin_dir / kLockFile;
  Descriptor lock(::open(file.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
  if (lock && ::fchmod(lock.get(), 0600) != 0) return Descriptor();
  return lock;
}

}  // namespace

Result<Descriptor> lock_plugin_dir(const fs::path& plugin_dir) {
  if (const auto made = make_folder(plugin_dir, 0755); !made) return made.error();
  Descriptor lock = open_lock(plugin_dir);
  if (lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) {
    clean(plugin_dir);
    return lock;
  }
  const int number = errno;
  if (lock && number == EWOULDBLOCK)
    return Error{"busy", "another installation or removal in " + plugin_dir.string() +
                             " is under way; try again when it is done"};
  const bool rights = number == EACCES || number == EPERM;
  return Error{rights ? "not_permitted" : "io_error", "cannot lock " + (plugin_dir / kLockFile).string() + ": " +
                                                          std::strerror(number) + (rights ? "; run it as root" : "")};
}

void remove_leftovers(const fs::path& plugin_dir) {
  if (leftovers_in(plugin_dir).empty()) return;
  const Descriptor lock = open_lock(plugin_dir);
  if (lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) clean(plugin_dir);
}

}  // namespace hawser::trust
