#pragma once

#include <memory>
#include <string>
#include <vector>

#include "file.hpp"

namespace hawser::log_upload {

// How far the cloud has every file, on disk. One small JSON file, written as a whole, before anything of a new file is
// sent and whenever the cloud acknowledged more.
class Positions {
 public:
  explicit Positions(const std::string& state_folder) : path_(state_folder + "/positions.json") {}

  struct Loaded {
    std::vector<std::shared_ptr<File>> files;  // not opened yet
    bool first_start = false;                  // there is no file of positions
    bool damaged = false;                      // there was one that could not be read; it was put aside
  };
  Loaded load() const;
  void save(const std::vector<std::shared_ptr<File>>& files) const;  // throws std::system_error

 private:
  std::string path_;
};

}  // namespace hawser::log_upload
