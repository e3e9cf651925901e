#pragma once

#include <array>
#include <string_view>

#include "core/base/state_table.hpp"

// The life of one plugin, as one table. Read it top to bottom: it is the whole rule.
namespace hawser::supervisor {

enum class PluginState {
  Discovered,  // found on disk
  Enabled,     // may run, not started yet
  Starting,    // its host runs, the plugin's start() has not returned
  Ready,
  Degraded,     // runs, and says itself that something is missing
  Draining,     // told to stop
  Stopped,      // by the operator
  Backoff,      // its host ended; it is started again after a wait
  Refused,      // cannot run as it is; not tried again by itself
  Quarantined,  // failed too often; a new file, a new configuration or the operator lets it out
  Held          // safe mode: the agent itself ended badly too often
};
inline constexpr std::array<std::string_view, 11> kPluginStateNames = {
    "discovered", "enabled", "starting", "ready",       "degraded", "draining",
    "stopped",    "backoff", "refused",  "quarantined", "held"};

enum class PluginEvent {
  Enable,
  Reject,   // by the plugin store
  Hold,     // by safe mode
  Isolate,  // by the quarantine of an earlier run
  Start,    // by the supervisor, or by the operator while no host runs
  SpawnFailed,
  HostReady,
  HostRefused,  // for good: configuration or ABI
  HealthReady,
  HealthDegraded,
  HealthFaulted,
  ChannelBroken,
  StartTimeout,
  StopTimeout,
  Condemned,  // it broke a rule or a limit: stalled, out of memory, over budget
  BackoffOver,
  RestartAsked,  // by the operator, while a host runs
  StopAsked,
  Ended,           // the host process is gone
  EndedTooOften,   // the same, and it was the last time
  EndedToRestart,  // the same after RestartAsked
};
inline constexpr std::array<std::string_view, 21> kPluginEventNames = {
    "enable",          "reject",         "hold",          "isolate",      "start",
    "spawn failed",    "host ready",     "host refused",  "health ready", "health degraded",
    "health faulted",  "channel broken", "start timeout", "stop timeout", "condemned",
    "backoff over",    "restart asked",  "stop asked",    "ended",        "ended too often",
    "ended to restart"};

enum class PluginAction {
  None,
  Spawn,          // start a host, send setup and the grants in force, start the clock of Starting
  NoteReady,      // stop that clock; after 60 s of it the backoff is forgotten
  Stop,           // send stop, start the clock of Draining
  StopToRestart,  // the same, and start it again afterwards
  KeepStopped,    // forget that it was to be started again
  EndSoon,        // the host ends by itself now; kill it if it does not
  Kill,           // SIGKILL to the process group; Ended follows
  Retry,          // wait, then start again
  Isolate,        // into quarantine
  Forget          // nothing is left to do
};

using PluginRow = Transition<PluginState, PluginEvent, PluginAction>;

namespace life_cycle {
using S = PluginState;
using E = PluginEvent;
using A = PluginAction;

// clang-format off
inline constexpr std::array kTable = {
  //        from           on                 then              to
  PluginRow{S::Discovered, E::Enable,         A::None,          S::Enabled},
  PluginRow{S::Discovered, E::Reject,         A::None,          S::Refused},
  PluginRow{S::Enabled,    E::Hold,           A::None,          S::Held},
  PluginRow{S::Enabled,    E::Isolate,        A::None,          S::Quarantined},
  PluginRow{S::Enabled,    E::Start,          A::Spawn,         S::Starting},
  PluginRow{S::Enabled,    E::StopAsked,      A::None,          S::Stopped},

  PluginRow{S::Starting,   E::SpawnFailed,    A::Retry,         S::Backoff},
  PluginRow{S::Starting,   E::HostReady,      A::NoteReady,     S::Ready},
  PluginRow{S::Starting,   E::HostRefused,    A::EndSoon,       S::Refused},
  PluginRow{S::Starting,   E::HealthFaulted,  A::EndSoon,       S::Starting},
  PluginRow{S::Starting,   E::ChannelBroken,  A::EndSoon,       S::Starting},
  PluginRow{S::Starting,   E::StartTimeout,   A::Kill,          S::Starting},
  PluginRow{S::Starting,   E::StopTimeout,    A::Kill,          S::Starting},
  PluginRow{S::Starting,   E::Condemned,      A::Kill,          S::Starting},
  PluginRow{S::Starting,   E::RestartAsked,   A::StopToRestart, S::Draining},
  PluginRow{S::Starting,   E::StopAsked,      A::Stop,          S::Draining},
  PluginRow{S::Starting,   E::Ended,          A::Retry,         S::Backoff},
  PluginRow{S::Starting,   E::EndedTooOften,  A::Isolate,       S::Quarantined},

  PluginRow{S::Ready,      E::HealthDegraded, A::None,          S::Degraded},
  PluginRow{S::Ready,      E::HostRefused,    A::EndSoon,       S::Refused},
  PluginRow{S::Ready,      E::HealthFaulted,  A::EndSoon,       S::Ready},
  PluginRow{S::Ready,      E::ChannelBroken,  A::EndSoon,       S::Ready},
  PluginRow{S::Ready,      E::StopTimeout,    A::Kill,          S::Ready},
  PluginRow{S::Ready,      E::Condemned,      A::Kill,          S::Ready},
  PluginRow{S::Ready,      E::RestartAsked,   A::StopToRestart, S::Draining},
  PluginRow{S::Ready,      E::StopAsked,      A::Stop,          S::Draining},
  PluginRow{S::Ready,      E::Ended,          A::Retry,         S::Backoff},
  PluginRow{S::Ready,      E::EndedTooOften,  A::Isolate,       S::Quarantined},

  PluginRow{S::Degraded,   E::HealthReady,    A::None,          S::Ready},
  PluginRow{S::Degraded,   E::HostRefused,    A::EndSoon,       S::Refused},
  PluginRow{S::Degraded,   E::HealthFaulted,  A::EndSoon,       S::Degraded},
  PluginRow{S::Degraded,   E::ChannelBroken,  A::EndSoon,       S::Degraded},
  PluginRow{S::Degraded,   E::StopTimeout,    A::Kill,          S::Degraded},
  PluginRow{S::Degraded,   E::Condemned,      A::Kill,          S::Degraded},
  PluginRow{S::Degraded,   E::RestartAsked,   A::StopToRestart, S::Draining},
  PluginRow{S::Degraded,   E::StopAsked,      A::Stop,          S::Draining},
  PluginRow{S::Degraded,   E::Ended,          A::Retry,         S::Backoff},
  PluginRow{S::Degraded,   E::EndedTooOften,  A::Isolate,       S::Quarantined},

  PluginRow{S::Draining,   E::StopTimeout,    A::Kill,          S::Draining},
  PluginRow{S::Draining,   E::Condemned,      A::Kill,          S::Draining},
  PluginRow{S::Draining,   E::StopAsked,      A::KeepStopped,   S::Draining},
  PluginRow{S::Draining,   E::RestartAsked,   A::StopToRestart, S::Draining},
  PluginRow{S::Draining,   E::Ended,          A::Forget,        S::Stopped},
  PluginRow{S::Draining,   E::EndedToRestart, A::Spawn,         S::Starting},

  PluginRow{S::Stopped,    E::Start,          A::Spawn,         S::Starting},
  PluginRow{S::Backoff,    E::Start,          A::Spawn,         S::Starting},
  PluginRow{S::Backoff,    E::BackoffOver,    A::Spawn,         S::Starting},
  PluginRow{S::Backoff,    E::StopAsked,      A::Forget,        S::Stopped},

  PluginRow{S::Refused,    E::Start,          A::Spawn,         S::Starting},
  PluginRow{S::Refused,    E::StopTimeout,    A::Kill,          S::Refused},
  PluginRow{S::Refused,    E::Condemned,      A::Kill,          S::Refused},
  PluginRow{S::Refused,    E::RestartAsked,   A::StopToRestart, S::Draining},
  PluginRow{S::Refused,    E::Ended,          A::Forget,        S::Refused},

  PluginRow{S::Quarantined,E::Start,          A::Spawn,         S::Starting},
  PluginRow{S::Quarantined,E::StopAsked,      A::Forget,        S::Stopped},
  PluginRow{S::Held,       E::Isolate,        A::None,          S::Quarantined},
  PluginRow{S::Held,       E::Start,          A::Spawn,         S::Starting},
  PluginRow{S::Held,       E::StopAsked,      A::Forget,        S::Stopped},
};
// clang-format on

static_assert(is_deterministic(kTable));

// Wherever a host process may run, its end and the end of our patience mean something.
constexpr bool every_end_is_handled() {
  for (const S state : {S::Starting, S::Ready, S::Degraded, S::Draining, S::Refused}) {
    for (const E event : {E::Ended, E::StopTimeout, E::Condemned}) {
      if (!find_row(kTable, state, event)) return false;
    }
  }
  return true;
}
static_assert(every_end_is_handled());
// Who is in quarantine or held starts by a word from outside alone: no clock and no message of a host leads out.
constexpr bool leaves_only_by_word(PluginState state) {
  for (const auto& row : kTable) {
    const bool word = row.on == E::Start || row.on == E::StopAsked || row.on == E::Isolate;
    if (row.from == state && !word) return false;
  }
  return true;
}
static_assert(leaves_only_by_word(S::Quarantined) && leaves_only_by_word(S::Held));

}  // namespace life_cycle

constexpr std::string_view name_of(PluginState state) { return kPluginStateNames[static_cast<std::size_t>(state)]; }
constexpr std::string_view name_of(PluginEvent event) { return kPluginEventNames[static_cast<std::size_t>(event)]; }

}  // namespace hawser::supervisor
