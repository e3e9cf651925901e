#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "core/base/waker.hpp"
#include "core/host/subconnection_state.hpp"

namespace hawser::host {

inline constexpr std::chrono::seconds kReadyForReset{60};  // ready that long: the backoff begins anew
inline constexpr std::chrono::seconds kBackoffMax{300};
inline constexpr std::chrono::seconds kTryAgainLeast{30};   // after 1013
inline constexpr std::chrono::seconds kReplacedLeast{60};   // after 4009, doubling
inline constexpr std::chrono::seconds kReplacedMost{3600};  // ready that long: 4009 begins at 60 s again
inline constexpr std::chrono::seconds kSpreadDefault{2};    // where the core names no reconnect spread
inline constexpr std::chrono::seconds kLocalSpread{2};      // at most, when the loss was local (sdk/protocol.md §3)

// How a dial or a connection ended.
struct Ending {
  int status = 0;                // of the upgrade, when it was an HTTP answer other than 101; else 0
  std::uint16_t close_code = 0;  // 0: it ended without a Close
  bool closed_by_peer = false;
  bool was_ready = false;
  std::chrono::milliseconds ready_for{0};
  bool local = false;  // lost by a change of the device's own network, or by its sleep
  std::optional<std::chrono::seconds> retry_after;
  std::string reason;  // of sdk/protocol.md §7
  std::string detail;
};

// What follows an ending: which event of the table, and after what wait (sdk/protocol.md §4, §5).
struct Next {
  Event event = Event::Lost;
  std::chrono::milliseconds wait{0};
  bool own = true;  // our own backoff or spread, which news of the network ends (conn-20); else the cloud asked for it
};

// Counts failures in a row. Lives on the I/O thread; `random_below` gives a number in [0, bound).
class Waiting {
 public:
  explicit Waiting(std::function<std::uint64_t(std::uint64_t)> random_below) : random_(std::move(random_below)) {}

  Next after(const Ending& ending, std::chrono::seconds spread);
  // How long until the first dial when the device wakes up.
  std::chrono::milliseconds after_sleep() { return up_to(kLocalSpread); }

 private:
  std::chrono::milliseconds backoff();  // random(1 s, min(300 s, 1 s * 2^n)), and n grows
  std::chrono::milliseconds up_to(std::chrono::milliseconds most);

  std::function<std::uint64_t(std::uint64_t)> random_;
  unsigned failures_ = 0;
  std::chrono::seconds replaced_{0};
};

}  // namespace hawser::host
