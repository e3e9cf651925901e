#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "core/base/loop.hpp"
#include "core/config/settings.hpp"
#include "core/supervisor/rate_limit.hpp"

namespace hawser::supervisor {

// What an action prints beyond it is read and dropped, so that a talkative command neither blocks nor grows us.
inline constexpr std::size_t kActionOutputMax = 64 * 1024;
inline constexpr std::size_t kActionsPerPlugin = 4;
inline constexpr std::size_t kActionsMax = 32;
inline constexpr double kActionsPerSecond = 10, kActionsBurst = 64;  // of one plugin, so that none lives off our forks
inline constexpr milliseconds kActionTermGrace{2000};   // from SIGTERM at the time limit to SIGKILL
inline constexpr milliseconds kActionOutputGrace{200};  // for the last output, after the command itself has ended

struct ActionResult {
  std::optional<int> exit_code;  // when it ended by itself
  int signal = 0;                // when a signal of another's ended it
  std::string output;            // standard output and error as they came, at most kActionOutputMax
  std::string reason;            // why it did not start or was ended; empty when it ended by itself
};

// Runs the operator's command lines (plugins.d, [actions.<name>]) for plugins: no shell, standard input /dev/null, a
// session of its own in /, environment PATH and LANG=C alone, a time limit after which the whole session is ended. What
// made itself a daemon meanwhile lives on: that is what restarting one is. Owned by the supervisor, lives on the loop's thread, never waits. Its destructor ends all that run; their `done` is
// not called then.
class ActionRunner {
 public:
  // Called exactly once per run(), on the loop's thread, never from inside run().
  using Done = std::function<void(ActionResult)>;

  explicit ActionRunner(Loop& loop);
  ActionRunner(const ActionRunner&) = delete;
  ActionRunner& operator=(const ActionRunner&) = delete;
  ~ActionRunner();

  void run(const std::string& plugin, const std::string& name, const config::Action& action, Done done);
  std::size_t running() const { return runs_.size(); }

 private:
  struct Run;
  void refuse(const std::string& reason, Done done);
  void read_output(std::uint64_t id);
  void on_time_limit(std::uint64_t id);
  void on_end(std::uint64_t id);
  void finish(std::uint64_t id);
  Run* find(std::uint64_t id);

  Loop& loop_;
  std::map<std::uint64_t, std::unique_ptr<Run>> runs_;
  std::map<std::string, RateLimit> rates_;  // by plugin
  std::uint64_t last_id_ = 0;
  // Refusals are delivered by a timer that may fire after our end: it looks here first.
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace hawser::supervisor
