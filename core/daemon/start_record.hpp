#pragma once

#include <chrono>
#include <deque>
#include <filesystem>
#include <optional>
#include <string>

#include "core/base/loop.hpp"
#include "core/base/result.hpp"

namespace hawser::daemon {

// How the runs of hawserd ended (ops-6): STATE_DIR/starts.json holds a mark for each run of this boot of the device that
// has not ended in order. A run makes its mark at its start, and takes it away at an orderly end or after ten good
// minutes; a crash, an abort by the watchdog and kill -9 leave it there. Power loss does not count: it is another boot.
// Owned by main(), lives on the loop's thread. Blocks on the disk, at most four times in a run.
class StartRecord {
 public:
  static constexpr std::size_t kEarlyEndsMost = 3;  // in a row, each within its first minute
  static constexpr std::size_t kEndsMost = 5;       // within the window
  static constexpr std::chrono::minutes kEarly{1}, kWindow{10};

  // `boot`: this boot of the device; `uptime`: since then, also while it slept.
  StartRecord(std::filesystem::path file, std::string boot, std::chrono::seconds uptime);

  // Why this run has to be one in safe mode; nothing for an ordinary one. A damaged file means an ordinary one.
  const std::optional<Error>& safe_mode() const { return safe_mode_; }
  // After the first minute, and after ten; then `calm` is called.
  void watch(Loop& loop, std::function<void()> calm);
  void past_first_minute();
  void forget_all();
  void ended_in_order();

 private:
  struct Mark {
    std::int64_t at_s = 0;  // uptime
    bool early = true;      // it has not outlived its first minute
  };
  void read(std::chrono::seconds uptime);
  void write() const;

  const std::filesystem::path file_;
  const std::string boot_;
  std::deque<Mark> marks_;  // oldest first; the last one is ours
  std::optional<Error> safe_mode_;
};

}  // namespace hawser::daemon
