#include "file_watch.hpp"

#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

namespace hawser::log_upload {

FileWatch::FileWatch() : inotify_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
  if (!inotify_) sdk::throw_errno("inotify_init1");
}

void FileWatch::watch_folder(const std::string& folder) {
  if (folders_.count(folder) != 0) return;
  const int watch = ::inotify_add_watch(inotify_.get(), folder.c_str(),
                                        IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR);
  if (watch >= 0) folders_[folder] = watch;
}

int FileWatch::watch_file(int descriptor, const std::string& path) {
  // By descriptor, since the name may lead to another file by now; by name where /proc is not to be had.
  const std::string by_descriptor = "/proc/self/fd/" + std::to_string(descriptor);
  const int watch = ::inotify_add_watch(inotify_.get(), by_descriptor.c_str(), IN_MODIFY);
  return watch >= 0 ? watch : ::inotify_add_watch(inotify_.get(), path.c_str(), IN_MODIFY);
}

void FileWatch::forget(int watch) {
  if (watch >= 0) ::inotify_rm_watch(inotify_.get(), watch);
}

bool FileWatch::take_events() {
  alignas(inotify_event) char buffer[16 * 1024];
  bool names_changed = false;
  for (;;) {
    const ssize_t got = ::read(inotify_.get(), buffer, sizeof buffer);
    if (got <= 0) return names_changed;
    for (ssize_t at = 0; at + static_cast<ssize_t>(sizeof(inotify_event)) <= got;) {
      inotify_event event;
      std::memcpy(&event, buffer + at, sizeof event);
      at += static_cast<ssize_t>(sizeof event + event.len);
      if ((event.mask & ~static_cast<unsigned>(IN_MODIFY)) != 0) names_changed = true;
      if ((event.mask & IN_IGNORED) != 0)
        std::erase_if(folders_, [gone = event.wd](const auto& one) { return one.second == gone; });
    }
  }
}

}  // namespace hawser::log_upload
