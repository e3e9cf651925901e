#include "core/trust/under_way.hpp"

#include <fcntl.h>
#include <sys/file.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace hawser::trust {
namespace {

namespace fs = std::filesystem;

// Only under the lock.
void clean(const fs::path& plugin_dir) {
  std::vector<fs::path> found;
  std::error_code ignored;
  for (fs::directory_iterator at(plugin_dir, ignored), end; !ignored && at != end; at.increment(ignored)) {
    if (at->path().filename().string().starts_with(kUnderWay)) found.push_back(at->path());
  }
  for (const auto& path : found) fs::remove_all(path, ignored);
}

}  // namespace

Result<Descriptor> lock_plugin_dir(const fs::path& plugin_dir) {
  if (const auto made = make_folder(plugin_dir, 0755); !made) return made.error();
  Descriptor folder(::open(plugin_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder && ::flock(folder.get(), LOCK_EX | LOCK_NB) == 0) {
    clean(plugin_dir);
    return folder;
  }
  if (folder && errno == EWOULDBLOCK)
    return Error{"busy", "another installation or removal in " + plugin_dir.string() +
                             " is under way; try again when it is done"};
  return Error{"io_error", "cannot lock " + plugin_dir.string() + ": " + std::strerror(errno)};
}

void remove_leftovers(const fs::path& plugin_dir) {
  const Descriptor folder(::open(plugin_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder && ::flock(folder.get(), LOCK_EX | LOCK_NB) == 0) clean(plugin_dir);
}

}  // namespace hawser::trust
