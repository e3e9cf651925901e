#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/base/files.hpp"
#include "core/config/load.hpp"
#include "core/config/toml_reader.hpp"

namespace hawser::config {

inline constexpr std::chrono::seconds kLocalFileLockLimit{10};  // for another hawserctl to be done

// conf.d/50-hawserctl.toml: the one file that hawserctl writes. What an operator wrote into other files stays as it is,
// and so do its comments. One thread; blocks on the disk. One at a time on the device, from open() to write(): two
// commands at once both count.
class LocalFile {
 public:
  // Error bad_config when it, or a file that is read before it, is no TOML; busy when another one is open for `limit`;
  // not_permitted, io_error.
  static Result<LocalFile> open(std::filesystem::path config_dir,
                                std::chrono::milliseconds limit = kLocalFileLockLimit);

  // What holds at `key` ("cloud.keepalive.count") before later files have their say; nothing when nothing is written.
  const Node* find(const std::string& key) const;
  void set(const std::string& key, Node value);
  void remove(const std::string& key);

  struct Written {
    std::vector<std::string> warnings;  // lines
    bool changed = true;                // false: the file says it already
  };
  // Checks the whole configuration with the change, and then writes, 0600: the old file or the new one, at any moment.
  // Error bad_config with the faults that the change brings, a line each; nothing was written then, nor at any other
  // error. Faults that were there before are warnings. Once only: the next one may open it then.
  Result<Written> write(const DeviceSources& sources);

 private:
  explicit LocalFile(std::filesystem::path config_dir) : config_dir_(std::move(config_dir)) {}
  std::filesystem::path path() const { return config_dir_ / kLocalFile; }
  std::vector<std::string> later_files() const;
  Status put(const std::string& text, Written& written) const;

  std::filesystem::path config_dir_;
  Descriptor lock_;
  std::optional<std::string> old_text_;  // as it was opened; nothing when it was not there
  Node own_, before_;                    // its tree, and that of the files before it
  std::vector<std::string> keys_set_;
};

}  // namespace hawser::config
