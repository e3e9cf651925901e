#pragma once

#include <optional>
#include <string>
#include <vector>

#include "targets.hpp"

namespace hawser::config_push {

// How far a revision has got. Written before the step begins, so that after a power loss at any instruction the next
// start knows what may have been touched.
enum class Step {
  staging,    // new files are written beside the old ones, the old ones are copied: no live path is touched
  swapping,   // renames
  reloading,  // every file is in place; the reload actions run
  applied,    // they succeeded; the cloud has yet to confirm
  confirmed,  // nothing is put back any more
  undoing     // the old files are being put back
};

struct JournalFile {
  std::string path;
  std::string temporary;  // its name beside the path
  std::string content;    // where the new content lies, in the state folder
  std::string backup;     // where the old content lies
  bool remove = false;
  bool existed = false;
  Attributes before, after;
};

struct Journal {
  std::string revision;
  Step step = Step::staging;
  std::string reason, detail;  // of undoing
  bool reload_again = false;   // a reload action may have seen the new files
  int confirm_timeout_s = 0;
  std::vector<std::string> reload;
  std::vector<JournalFile> files;

  void save(const std::string& path) const;  // returns with it on disk
  // Nothing when there is none. Throws std::runtime_error when there is one that cannot be read.
  static std::optional<Journal> load(const std::string& path);
};

}  // namespace hawser::config_push
