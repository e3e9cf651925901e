#pragma once

#include <hawser/state_file.hpp>
#include <map>
#include <string>

namespace hawser::log_upload {

// inotify: says that files grew, or that names in folders changed. Only a hint; the periodic look finds the rest.
// Owned by LogUpload; on the service thread.
class FileWatch {
 public:
  FileWatch();  // throws std::system_error

  int descriptor() const { return inotify_.get(); }
  void watch_folder(const std::string& folder);  // once; one that does not exist is tried again at the next call
  int watch_file(int descriptor, const std::string& path);  // a number for forget(); -1 when it cannot be
  void forget(int watch);

  // Takes all that waits. True: names changed, look again which files there are.
  bool take_events();

 private:
  sdk::FileDescriptor inotify_;
  std::map<std::string, int> folders_;
};

}  // namespace hawser::log_upload
