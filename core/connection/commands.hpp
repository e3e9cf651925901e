#pragma once

#include <deque>
#include <filesystem>
#include <optional>
#include <set>
#include <string>

#include "core/base/file_writer.hpp"
#include "core/base/json.hpp"

namespace hawser::connection {

// Results of the cloud's commands: the last 256 are kept over restarts, so that a repeated id is answered, not carried
// out again (sdk/protocol.md §4). Lives on the connection thread, which does not wait for the disk: `write` hands over.
class Commands {
 public:
  static constexpr std::size_t kResultsMax = 256;
  static constexpr std::size_t kResultBytesMax = 128 * 1024;     // one result; a larger one becomes the error too_big
  static constexpr std::size_t kFileBytesMax = 8 * 1024 * 1024;  // all of them; beyond it the oldest go

  // A missing file is an empty list; a broken one is logged, set aside as <file>.broken, and an empty list.
  explicit Commands(std::filesystem::path file, WriteFile write = write_at_once);

  // The command_result that answers `id`, when it was carried out before.
  std::optional<std::string> kept(const std::string& id) const;
  // True when `id` is new: carry it out. False while it is being carried out.
  bool begin(const std::string& id);
  // Keeps the result and returns the command_result to send.
  // Nothing for an id that is not being carried out: its binding is gone.
  std::optional<std::string> finish(const std::string& id, const Result<json::Object>& result);
  void clear();  // the binding that they belonged to is gone

 private:
  struct Kept {
    std::string id, message;
  };

  void load();
  void save() const;
  void add(std::string id, std::string message);

  std::filesystem::path file_;
  WriteFile write_;
  std::deque<Kept> results_;  // oldest first
  std::size_t bytes_ = 0;
  std::set<std::string> under_way_;
};

}  // namespace hawser::connection
