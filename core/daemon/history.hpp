#pragma once

#include <chrono>
#include <deque>
#include <filesystem>
#include <optional>
#include <string>

#include "core/base/json.hpp"
#include "core/connection/main_connection.hpp"
#include "core/daemon/line_file.hpp"

namespace hawser::daemon {

// What happened to this device, kept over restarts (promise state-2): STATE_DIR/history.jsonl, one event a line, as
// `hawserctl history --json` shows it. Beside the kinds of sdk/protocol.md §4 there are, for this device alone:
//   agent    started (its detail says how the last run ended), stopped
//   grants   what the cloud's list of grants came to
//   network  a link, an address or a route changed (route), or the device slept (resumed)
//   dhcp     a lease that counts now (lease), none any more (withdrawn), or what one offered was refused (refused)
// Owned by main(), lives on the loop's thread, which never waits for the disk.
class History {
 public:
  static constexpr std::size_t kKeptMax = 1000;                  // in memory, and told
  static constexpr std::size_t kFileBytesMax = 2 * 1024 * 1024;  // half of it holds 250 of the longest lines
  static constexpr std::size_t kTextBytesMax = 64;               // kind, service, reason
  static constexpr std::size_t kDetailBytesMax = 512;

  // Reads what was kept, and adds how the last run ended; a line that a power cut tore is cut off, a file with anything
  // else that is no event is set aside as history.jsonl.broken. Blocks on the disk. `floor`: the clock is not trusted
  // before that time.
  History(const std::filesystem::path& state_dir, std::chrono::system_clock::time_point floor);

  // The end of the last run as the cloud is told it, where that run left a connection without a word: it could not say so
  // itself. It stands in the history already.
  const std::optional<connection::Event>& cut_off() const { return cut_off_; }

  void set_validity_floor(std::chrono::system_clock::time_point floor) { floor_ = floor; }
  void add(const connection::Event& event);
  // {"events":[{"at","uptime_ms","kind","service","reason","detail"}]}, oldest first, at most `limit`; `at` is null
  // where the clock was not trusted, the three texts where they are empty.
  json::Object last(std::size_t limit) const;

 private:
  void read(const std::filesystem::path& file);
  void note_start();

  std::chrono::system_clock::time_point floor_;
  std::deque<json::Object> events_;
  std::optional<connection::Event> cut_off_;
  LineFile file_;
};

}  // namespace hawser::daemon
