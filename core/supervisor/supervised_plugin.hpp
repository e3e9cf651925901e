#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/base/log.hpp"
#include "core/base/loop.hpp"
#include "core/config/settings.hpp"
#include "core/supervisor/host_watch.hpp"
#include "core/supervisor/life_cycle.hpp"
#include "core/supervisor/plugin_process.hpp"
#include "core/supervisor/plugin_store.hpp"
#include "core/supervisor/rate_limit.hpp"
#include "core/supervisor/restart_history.hpp"

namespace hawser::supervisor {

using namespace std::chrono_literals;

// Every wait of a plugin's life. Tests shorten them.
struct Timing {
  milliseconds start_limit = 10s;  // from spawn to ready
  milliseconds stop_limit = 5s;    // from stop to the end of the process
  milliseconds end_limit = 1s;     // for a host that should end by itself, or has lost its channel
  milliseconds restart_wait = 1s;  // min(restart_wait * 2^n, restart_wait_max), of which a random part is waited
  milliseconds restart_wait_max = 5min;
  milliseconds restart_wait_min = 100ms;  // so that a random part near zero does not make a busy loop
  milliseconds steady_after = 60s;        // ready for so long: n is 0 again
  std::size_t failures_most = 5;          // within failures_window: quarantine
  milliseconds failures_window = 10min;
  milliseconds callback_budget = 250ms;  // over it a callback is logged
  milliseconds stall_limit = 10s;        // over it the host is killed; where neither operator nor manifest says another
  milliseconds ping_interval = 10s;      // no answer until the next one: killed
};

// What a host that stops leaves in its state folder, since another version follows: a copy of the private state, for its
// own return, and what the plugin saves for the next version.
enum class Leaving { Nothing, State, StateAndHandover };

// The longest wait before the restart that follows `failures` others, of which a random part is waited.
milliseconds longest_wait(const Timing& timing, int failures);

inline constexpr double kLogLinesPerSecond = 20;  // of one plugin, log messages and printed lines together
inline constexpr double kLogLinesBurst = 200;
inline constexpr milliseconds kLeftOutEvery = 1s;  // at most so often it is said how many lines were left out

// One plugin: its state by the table of life_cycle.hpp, its host process, its clocks.
// Owned by the supervisor, lives on the loop's thread.
class SupervisedPlugin {
 public:
  // What the plugin needs of the supervisor. Called on the loop's thread; nothing here may destroy the plugin.
  class Keeper {
   public:
    virtual ~Keeper() = default;
    virtual json::Object setup_of(const SupervisedPlugin& plugin) = 0;
    virtual void on_started(SupervisedPlugin& plugin) = 0;  // setup has been sent
    virtual void on_message(SupervisedPlugin& plugin, const std::string& type, const json::Object& message) = 0;
    virtual void on_state(SupervisedPlugin& plugin) = 0;
    // The host is gone; `why` says how.
    virtual void on_host_ended(SupervisedPlugin& plugin, const Error& why) = 0;
    // What the keeper knows better about an end that nobody asked for, from the cgroup for one. Before on_host_ended.
    virtual std::optional<Error> explain_end(const SupervisedPlugin&, const ExitCause&) { return std::nullopt; }
    // Its host says that it got no more memory: which limit that was, and how to lift it.
    virtual Error over_memory(const SupervisedPlugin&, const std::string& uses) { return {"out_of_memory", uses}; }
    // It has failed too often; until a start from outside.
    virtual void on_quarantined(SupervisedPlugin&) {}
  };

  SupervisedPlugin(Loop& loop, Keeper& keeper, std::filesystem::path host_program, Timing timing, FoundPlugin found,
                   config::PluginSettings settings);
  SupervisedPlugin(const SupervisedPlugin&) = delete;
  SupervisedPlugin& operator=(const SupervisedPlugin&) = delete;
  ~SupervisedPlugin();

  void start();
  // Instead of start(): it stays where it is until a start from outside. `why` says what the operator can do.
  void hold(const Error& why) { apply(PluginEvent::Hold, why); }
  void isolate(const Error& why) { apply(PluginEvent::Isolate, why); }
  // Takes what stands on disk now, accepted by the store, for the next start.
  void renew(FoundPlugin found) { found_ = std::move(found); }
  // For the next start; what a running host has was told to it by others.
  void set_settings(config::PluginSettings settings) { settings_ = std::move(settings); }
  // Stops the host if one runs, and starts it again at once, without waiting out a backoff.
  void restart(Leaving leaving = Leaving::Nothing);
  // `limit`: from now to the end of the process, instead of the usual one when that is longer.
  void stop(milliseconds limit);
  void kill();  // the host's process group, now
  // It broke a rule or a limit, which `why` names: its host is killed, and that is the cause that is told.
  void condemn(const Error& why);
  // Once every ping_interval: is the host there? `held_up`: this round came late, so nobody is judged by it.
  void look_alive(bool held_up);

  // To the host, if one runs.
  void send(const json::Object& message);
  bool owns(const std::string& service) const;
  // A line in the log under the plugin's name, within its rate.
  void log_line(spdlog::level::level_enum level, const std::string& line);
  // What its host said and had no right to, or made no sense: nothing comes of it but a line and a count.
  void refuse_word(const std::string& what);
  std::uint64_t lies() const { return lies_; }

  // Its limit log_lines, with ten seconds' worth at once.
  void set_log_lines(double per_second) { log_rate_ = RateLimit(per_second, per_second * 10); }

  const std::string& id() const { return found_.id; }
  const FoundPlugin& found() const { return found_; }
  const config::PluginSettings& settings() const { return settings_; }
  PluginState state() const { return state_; }
  const Error& reason() const { return reason_; }  // why it is in this state; empty when there is nothing to say
  const std::string& instance() const { return instance_; }
  std::optional<pid_t> pid() const { return process_ ? std::optional(process_->pid()) : std::nullopt; }
  int restarts() const { return restarts_; }
  // Of the running host; null when none runs.
  const HostWatch* watch() const { return watch_ ? &*watch_ : nullptr; }
  std::string settings_file() const;  // for people: where the operator's settings stand or belong

 private:
  bool apply(PluginEvent event, const Error& why = {});
  void act(PluginAction action);
  void spawn();
  Status start_process(PluginProcess::Events events);
  milliseconds stall_limit() const;
  bool may_log(spdlog::level::level_enum level);  // counts the line, or what is left out
  bool hear_watch(const std::string& type, const json::Object& message);
  void note_ready();
  void send_stop(milliseconds limit);
  void retry();
  void set_clock(milliseconds limit, PluginEvent event, const Error& why);
  void on_message(const json::Object& message);
  void on_refused(const json::Object& message);
  void on_health(const json::Object& message);
  void on_log(const json::Object& message);
  void on_ended(const ExitCause& cause);
  void fail_later(const Error& why);

  Loop& loop_;
  Keeper& keeper_;
  std::filesystem::path host_program_;
  Timing timing_;
  FoundPlugin found_;
  config::PluginSettings settings_;

  PluginState state_ = PluginState::Discovered;
  Error reason_;
  std::optional<Error> cause_of_end_;  // known before the process ends; else its exit tells
  std::optional<HostWatch> watch_;     // of process_
  std::unique_ptr<PluginProcess> process_;
  std::string instance_;
  bool restart_wanted_ = false;
  Leaving leaving_ = Leaving::Nothing;  // with the next stop
  std::optional<Error> degraded_before_ready_;
  int restarts_ = 0;  // since the start of the agent
  std::uint64_t lies_ = 0;
  int failures_ = 0;  // n of the backoff
  RestartHistory history_;
  Loop::TimerId clock_ = 0, steady_clock_ = 0;
  RateLimit log_rate_{kLogLinesPerSecond, kLogLinesBurst};
  TimePoint left_out_told_{};
};

}  // namespace hawser::supervisor
