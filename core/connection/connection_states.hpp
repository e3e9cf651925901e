#pragma once

#include <array>
#include <string_view>

#include "core/base/state_table.hpp"

// The life of the main connection as one table, and nothing else: no sockets, no clock, no log. (sdk/protocol.md §1-4)
// driver.hpp walks it: an action is performed in the state that its row leads to, and its outcome picks the next row.
namespace hawser::connection {

// The guide's device states, in its spelling, and the wait between two attempts, which it shows as Idle.
enum class State {
  Idle,
  Connecting,
  RequestAuth,
  RequestAuthSuccess,
  Register,
  RegisterSuccess,
  RequestHandshake,
  RequestSuccess,
  Waiting
};
inline constexpr std::array<std::string_view, 9> kStateNames{
    "Idle",     "Connecting",       "Request_auth",      "Request_auth_success",
    "Register", "Register_success", "Request_handshake", "Request_success",
    "Waiting"};

// What an action came to.
enum class Outcome {
  Started,
  Connected,           // no token in hand
  ConnectedWithToken,  // a token of this server that still holds
  NonceRequired,
  Authenticated,
  TokenKept,
  Registered,
  TokenRefused,   // 401
  NotRegistered,  // 404 or 410 of the upgrade
  Secured,        // TLS to the host of the registration's URL
  Established,
  Failed,          // this attempt is over; the setback says why and what the server asked for
  Lost,            // an established connection ended; come back
  TokenWithdrawn,  // 4001
  Removed,         // 4003, 4010
  Replaced,        // 4009
  TryLater,        // 1013
  Drained,
  WaitOver,
  Reset,
  Changed,  // another configuration or lease: the attempt or the connection does not fit it
  Stopped
};
inline constexpr std::array<std::string_view, 22> kOutcomeNames{"started",
                                                                "connected",
                                                                "connected, token in hand",
                                                                "nonce required",
                                                                "authenticated",
                                                                "token kept",
                                                                "registered",
                                                                "token refused",
                                                                "not registered",
                                                                "secured",
                                                                "established",
                                                                "failed",
                                                                "lost",
                                                                "token withdrawn",
                                                                "removed from the cloud",
                                                                "replaced",
                                                                "asked to try later",
                                                                "drained",
                                                                "wait over",
                                                                "reset",
                                                                "changed",
                                                                "stopped"};

enum class Action {
  Dial,            // to the server: DNS, TCP, TLS
  Authenticate,    // POST /auth
  KeepToken,       // its lifetime begins
  Register,        // POST /register
  DialConnection,  // to the host of the registration's URL
  Upgrade,         // the WebSocket handshake
  Serve,           // carry the connection until it ends
  WaitForTurn,     // the next server, a new round, or what the server asked for
  WaitSpread,
  ForgetTokenAndWaitSpread,
  ForgetTokenAndWaitLong,  // every 15 minutes until it authenticates
  WaitForTwin,             // another device with our serial replaced us
  WaitHalfMinute,
  WaitForDrain,
  WaitForServer,  // until there is a server whose turn it is; that is at once, where it asked for no wait
  Rest
};
inline constexpr std::array<std::string_view, 16> kActionNames{"dial",
                                                               "authenticate",
                                                               "keep the token",
                                                               "register",
                                                               "dial the connection's host",
                                                               "upgrade",
                                                               "serve",
                                                               "wait for a turn",
                                                               "wait for the spread",
                                                               "forget the token and wait for the spread",
                                                               "forget the token and wait 15 minutes",
                                                               "wait for the twin",
                                                               "wait half a minute",
                                                               "wait as the drain asked",
                                                               "wait for a server",
                                                               "rest"};

constexpr std::string_view name_of(State state) { return kStateNames[static_cast<std::size_t>(state)]; }
constexpr std::string_view name_of(Outcome outcome) { return kOutcomeNames[static_cast<std::size_t>(outcome)]; }
constexpr std::string_view name_of(Action action) { return kActionNames[static_cast<std::size_t>(action)]; }

using Row = Transition<State, Outcome, Action>;

// clang-format off
inline constexpr std::array kTable{
    //  from                       on                           then                              to
    Row{State::Idle,               Outcome::Started,            Action::WaitForServer,            State::Waiting},

    Row{State::Connecting,         Outcome::Connected,          Action::Authenticate,             State::RequestAuth},
    Row{State::Connecting,         Outcome::ConnectedWithToken, Action::Register,                 State::Register},
    Row{State::Connecting,         Outcome::Failed,             Action::WaitForTurn,              State::Waiting},

    Row{State::RequestAuth,        Outcome::NonceRequired,      Action::Authenticate,             State::RequestAuth},
    Row{State::RequestAuth,        Outcome::Authenticated,      Action::KeepToken,                State::RequestAuthSuccess},
    Row{State::RequestAuth,        Outcome::Failed,             Action::WaitForTurn,              State::Waiting},
    Row{State::RequestAuthSuccess, Outcome::TokenKept,          Action::Register,                 State::Register},

    Row{State::Register,           Outcome::Registered,         Action::DialConnection,           State::RegisterSuccess},
    Row{State::Register,           Outcome::TokenRefused,       Action::Authenticate,             State::RequestAuth},
    Row{State::Register,           Outcome::Failed,             Action::WaitForTurn,              State::Waiting},
    Row{State::RegisterSuccess,    Outcome::Secured,            Action::Upgrade,                  State::RequestHandshake},
    Row{State::RegisterSuccess,    Outcome::Failed,             Action::WaitForTurn,              State::Waiting},

    Row{State::RequestHandshake,   Outcome::Established,        Action::Serve,                    State::RequestSuccess},
    Row{State::RequestHandshake,   Outcome::TokenRefused,       Action::Authenticate,             State::RequestAuth},
    Row{State::RequestHandshake,   Outcome::NotRegistered,      Action::Register,                 State::Register},
    Row{State::RequestHandshake,   Outcome::Failed,             Action::WaitForTurn,              State::Waiting},

    Row{State::RequestSuccess,     Outcome::Lost,               Action::WaitSpread,               State::Waiting},
    Row{State::RequestSuccess,     Outcome::TokenWithdrawn,     Action::ForgetTokenAndWaitSpread, State::Waiting},
    Row{State::RequestSuccess,     Outcome::Removed,            Action::ForgetTokenAndWaitLong,   State::Waiting},
    Row{State::RequestSuccess,     Outcome::Replaced,           Action::WaitForTwin,              State::Waiting},
    Row{State::RequestSuccess,     Outcome::TryLater,           Action::WaitHalfMinute,           State::Waiting},
    Row{State::RequestSuccess,     Outcome::Drained,            Action::WaitForDrain,             State::Waiting},

    Row{State::Waiting,            Outcome::WaitOver,           Action::Dial,                     State::Connecting},

    // An operator's reset begins a new round at once, wherever it finds us; a change goes on with the server that is due.
    Row{State::Connecting,         Outcome::Reset,              Action::WaitForServer,            State::Waiting},
    Row{State::RequestAuth,        Outcome::Reset,              Action::WaitForServer,            State::Waiting},
    Row{State::RequestAuthSuccess, Outcome::Reset,              Action::WaitForServer,            State::Waiting},
    Row{State::Register,           Outcome::Reset,              Action::WaitForServer,            State::Waiting},
    Row{State::RegisterSuccess,    Outcome::Reset,              Action::WaitForServer,            State::Waiting},
    Row{State::RequestHandshake,   Outcome::Reset,              Action::WaitForServer,            State::Waiting},
    Row{State::RequestSuccess,     Outcome::Reset,              Action::WaitForServer,            State::Waiting},
    Row{State::Waiting,            Outcome::Reset,              Action::WaitForServer,            State::Waiting},

    Row{State::Connecting,         Outcome::Changed,            Action::WaitForServer,            State::Waiting},
    Row{State::RequestAuth,        Outcome::Changed,            Action::WaitForServer,            State::Waiting},
    Row{State::RequestAuthSuccess, Outcome::Changed,            Action::WaitForServer,            State::Waiting},
    Row{State::Register,           Outcome::Changed,            Action::WaitForServer,            State::Waiting},
    Row{State::RegisterSuccess,    Outcome::Changed,            Action::WaitForServer,            State::Waiting},
    Row{State::RequestHandshake,   Outcome::Changed,            Action::WaitForServer,            State::Waiting},
    Row{State::RequestSuccess,     Outcome::Changed,            Action::WaitForServer,            State::Waiting},
    Row{State::Waiting,            Outcome::Changed,            Action::WaitForServer,            State::Waiting},

    Row{State::Connecting,         Outcome::Stopped,            Action::Rest,                     State::Idle},
    Row{State::RequestAuth,        Outcome::Stopped,            Action::Rest,                     State::Idle},
    Row{State::RequestAuthSuccess, Outcome::Stopped,            Action::Rest,                     State::Idle},
    Row{State::Register,           Outcome::Stopped,            Action::Rest,                     State::Idle},
    Row{State::RegisterSuccess,    Outcome::Stopped,            Action::Rest,                     State::Idle},
    Row{State::RequestHandshake,   Outcome::Stopped,            Action::Rest,                     State::Idle},
    Row{State::RequestSuccess,     Outcome::Stopped,            Action::Rest,                     State::Idle},
    Row{State::Waiting,            Outcome::Stopped,            Action::Rest,                     State::Idle},
};
// clang-format on

// What each action may come to, besides Reset, Changed and Stopped, which every action but Rest may.
struct ActionOutcomes {
  Action action;
  std::array<Outcome, 6> outcomes;
  std::size_t count;
};
template <typename... O>
constexpr ActionOutcomes may_come_to(Action action, O... outcomes) {
  return {action, {outcomes...}, sizeof...(outcomes)};
}
inline constexpr std::array kActionOutcomes{
    may_come_to(Action::Dial, Outcome::Connected, Outcome::ConnectedWithToken, Outcome::Failed),
    may_come_to(Action::Authenticate, Outcome::NonceRequired, Outcome::Authenticated, Outcome::Failed),
    may_come_to(Action::KeepToken, Outcome::TokenKept),
    may_come_to(Action::Register, Outcome::Registered, Outcome::TokenRefused, Outcome::Failed),
    may_come_to(Action::DialConnection, Outcome::Secured, Outcome::Failed),
    may_come_to(Action::Upgrade, Outcome::Established, Outcome::TokenRefused, Outcome::NotRegistered, Outcome::Failed),
    may_come_to(Action::Serve, Outcome::Lost, Outcome::TokenWithdrawn, Outcome::Removed, Outcome::Replaced,
                Outcome::TryLater, Outcome::Drained),
    may_come_to(Action::WaitForTurn, Outcome::WaitOver),
    may_come_to(Action::WaitSpread, Outcome::WaitOver),
    may_come_to(Action::ForgetTokenAndWaitSpread, Outcome::WaitOver),
    may_come_to(Action::ForgetTokenAndWaitLong, Outcome::WaitOver),
    may_come_to(Action::WaitForTwin, Outcome::WaitOver),
    may_come_to(Action::WaitHalfMinute, Outcome::WaitOver),
    may_come_to(Action::WaitForDrain, Outcome::WaitOver),
    may_come_to(Action::WaitForServer, Outcome::WaitOver),
};

constexpr bool every_outcome_has_a_row() {
  for (const Row& row : kTable) {
    for (const ActionOutcomes& possible : kActionOutcomes) {
      if (possible.action != row.then) continue;
      for (std::size_t i = 0; i < possible.count; ++i) {
        if (!find_row(kTable, row.to, possible.outcomes[i])) return false;
      }
    }
  }
  return true;
}

static_assert(kActionOutcomes.size() + 1 == kActionNames.size(), "an action without its outcomes");
static_assert(static_cast<std::size_t>(State::Waiting) + 1 == kStateNames.size());
static_assert(static_cast<std::size_t>(Outcome::Stopped) + 1 == kOutcomeNames.size());
static_assert(static_cast<std::size_t>(Action::Rest) + 1 == kActionNames.size());
static_assert(is_deterministic(kTable));
static_assert(every_outcome_has_a_row());
static_assert(always_leads_to(kTable, kStateNames.size(), Outcome::Stopped, State::Idle));

}  // namespace hawser::connection
