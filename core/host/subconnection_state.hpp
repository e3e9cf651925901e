#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "core/base/state_table.hpp"

// Where a subconnection stands, and what leads where (sdk/protocol.md §5). All of its states, in one table.
namespace hawser::host {

enum class State { WaitingForGrant, Connecting, Ready, Draining, Backoff, Refused, Revoked, Stopped };
inline constexpr std::array<std::string_view, 8> kStateNames = {
    "waiting_for_grant", "connecting", "ready", "draining", "backoff", "refused", "revoked", "stopped"};

enum class Event {
  Grant,          // the core hands over a grant; a newer one replaces it
  GrantRefused,   // the cloud's list refuses the service
  Revoke,         // withdrawn, or absent from a list
  ServerChanged,  // the main connection moved to another server of its list
  Unbound,        // the cloud let the device go: nothing of the old binding counts
  Welcome,        // the cloud said welcome
  Lost,           // a dial failed or the connection ended; the grant is still good
  GrantFailed,    // 401, 403, 404 or 4001: a new grant is needed
  Withdrawn,      // 4003 or 4010: the main connection has to get in again first
  WaitOver,       // the backoff is over and the grant is good
  GrantRanOut,    // the backoff is over and there is no good grant
  Stop,           // the core stops the plugin
  Drained         // everything is acknowledged, or the time for it is over
};
inline constexpr std::array<std::string_view, 13> kEventNames = {
    "grant",        "grant_refused", "revoke",    "server_changed", "unbound", "welcome", "lost",
    "grant_failed", "withdrawn",     "wait_over", "grant_ran_out",  "stop",    "drained"};

enum class Action {
  None,
  Dial,
  Opened,            // tell the plugin
  Wait,              // then dial with the grant in hand
  WaitForgetting,    // forget the grant, wait, then ask for another
  Ask,               // ask the core for a new grant, unless none was lost
  Forget,            // forget the grant
  CloseGoingAway,    // 1001, and forget the grant
  Discard,           // 1000, and forget the grant, what waits to be sent, and both streams
  CloseRevoked,      // 4012, and forget the grant
  Drain,             // send what is left, then close
  CloseAndFinish,    // 1000; nothing follows
  RevokedAndFinish,  // 4012; nothing follows
  Finish
};

using SubconnectionRow = Transition<State, Event, Action>;

// One row per (state, event); an event without a row means nothing in that state.
inline constexpr std::array kSubconnectionTable = {
    SubconnectionRow{State::WaitingForGrant, Event::Grant, Action::Dial, State::Connecting},
    SubconnectionRow{State::WaitingForGrant, Event::GrantRefused, Action::None, State::Refused},
    SubconnectionRow{State::WaitingForGrant, Event::Revoke, Action::None, State::Revoked},
    SubconnectionRow{State::WaitingForGrant, Event::ServerChanged, Action::Forget, State::WaitingForGrant},
    SubconnectionRow{State::WaitingForGrant, Event::Unbound, Action::Discard, State::WaitingForGrant},
    SubconnectionRow{State::WaitingForGrant, Event::Stop, Action::Finish, State::Stopped},

    SubconnectionRow{State::Connecting, Event::GrantRefused, Action::CloseRevoked, State::Refused},
    SubconnectionRow{State::Connecting, Event::Revoke, Action::CloseRevoked, State::Revoked},
    SubconnectionRow{State::Connecting, Event::ServerChanged, Action::CloseGoingAway, State::WaitingForGrant},
    SubconnectionRow{State::Connecting, Event::Unbound, Action::Discard, State::WaitingForGrant},
    SubconnectionRow{State::Connecting, Event::Welcome, Action::Opened, State::Ready},
    SubconnectionRow{State::Connecting, Event::Lost, Action::Wait, State::Backoff},
    SubconnectionRow{State::Connecting, Event::GrantFailed, Action::WaitForgetting, State::Backoff},
    SubconnectionRow{State::Connecting, Event::Withdrawn, Action::Forget, State::WaitingForGrant},
    SubconnectionRow{State::Connecting, Event::Stop, Action::CloseAndFinish, State::Stopped},

    SubconnectionRow{State::Ready, Event::GrantRefused, Action::CloseRevoked, State::Refused},
    SubconnectionRow{State::Ready, Event::Revoke, Action::CloseRevoked, State::Revoked},
    SubconnectionRow{State::Ready, Event::ServerChanged, Action::CloseGoingAway, State::WaitingForGrant},
    SubconnectionRow{State::Ready, Event::Unbound, Action::Discard, State::WaitingForGrant},
    SubconnectionRow{State::Ready, Event::Lost, Action::Wait, State::Backoff},
    SubconnectionRow{State::Ready, Event::GrantFailed, Action::WaitForgetting, State::Backoff},
    SubconnectionRow{State::Ready, Event::Withdrawn, Action::Forget, State::WaitingForGrant},
    SubconnectionRow{State::Ready, Event::Stop, Action::Drain, State::Draining},

    SubconnectionRow{State::Draining, Event::GrantRefused, Action::RevokedAndFinish, State::Stopped},
    SubconnectionRow{State::Draining, Event::Revoke, Action::RevokedAndFinish, State::Stopped},
    SubconnectionRow{State::Draining, Event::ServerChanged, Action::CloseAndFinish, State::Stopped},
    SubconnectionRow{State::Draining, Event::Unbound, Action::Discard, State::Stopped},
    SubconnectionRow{State::Draining, Event::Lost, Action::Finish, State::Stopped},
    SubconnectionRow{State::Draining, Event::GrantFailed, Action::Finish, State::Stopped},
    SubconnectionRow{State::Draining, Event::Withdrawn, Action::Finish, State::Stopped},
    SubconnectionRow{State::Draining, Event::Drained, Action::CloseAndFinish, State::Stopped},

    SubconnectionRow{State::Backoff, Event::GrantRefused, Action::Forget, State::Refused},
    SubconnectionRow{State::Backoff, Event::Revoke, Action::Forget, State::Revoked},
    SubconnectionRow{State::Backoff, Event::ServerChanged, Action::Forget, State::WaitingForGrant},
    SubconnectionRow{State::Backoff, Event::Unbound, Action::Discard, State::WaitingForGrant},
    SubconnectionRow{State::Backoff, Event::WaitOver, Action::Dial, State::Connecting},
    SubconnectionRow{State::Backoff, Event::GrantRanOut, Action::Ask, State::WaitingForGrant},
    SubconnectionRow{State::Backoff, Event::Stop, Action::Finish, State::Stopped},

    SubconnectionRow{State::Refused, Event::Grant, Action::Dial, State::Connecting},
    SubconnectionRow{State::Refused, Event::Revoke, Action::None, State::Revoked},
    SubconnectionRow{State::Refused, Event::ServerChanged, Action::Forget, State::WaitingForGrant},
    SubconnectionRow{State::Refused, Event::Unbound, Action::Discard, State::WaitingForGrant},
    SubconnectionRow{State::Refused, Event::Stop, Action::Finish, State::Stopped},

    SubconnectionRow{State::Revoked, Event::Grant, Action::Dial, State::Connecting},
    SubconnectionRow{State::Revoked, Event::GrantRefused, Action::None, State::Refused},
    SubconnectionRow{State::Revoked, Event::ServerChanged, Action::Forget, State::WaitingForGrant},
    SubconnectionRow{State::Revoked, Event::Unbound, Action::Discard, State::WaitingForGrant},
    SubconnectionRow{State::Revoked, Event::Stop, Action::Finish, State::Stopped},
};
static_assert(is_deterministic(kSubconnectionTable));
static_assert(kStateNames.size() == static_cast<std::size_t>(State::Stopped) + 1);
static_assert(kEventNames.size() == static_cast<std::size_t>(Event::Drained) + 1);

constexpr std::string_view name(State state) { return kStateNames[static_cast<std::size_t>(state)]; }
constexpr std::string_view name(Event event) { return kEventNames[static_cast<std::size_t>(event)]; }

}  // namespace hawser::host
