#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "core/base/result.hpp"
#include "core/base/waker.hpp"

// When the next attempt may begin, and on which server: sdk/protocol.md §1 (rounds), §3 (spread), §4 (after a close).
namespace hawser::connection {

using namespace std::chrono_literals;
using std::chrono::seconds;

inline constexpr milliseconds kBackoffFirst = 1s;
inline constexpr milliseconds kBackoffMax = 300s;
inline constexpr milliseconds kEstablishedLong = 60s;                     // after this long the backoff begins anew
inline constexpr milliseconds kRefusedLeast = 1min, kRefusedMost = 5min;  // after a 403
inline constexpr milliseconds kRetryLeast = 1s, kRetryMost = 1h;          // what a server may ask for
inline constexpr milliseconds kRemovedWait = 15min;                       // 4003, 4010
inline constexpr milliseconds kTryLaterWait = 30s;                        // 1013
inline constexpr milliseconds kTwinFirst = 60s, kTwinMost = 1h;           // 4009
// Twins take turns, each living as long as the other waits: only a longer peace ends the doubling.
inline constexpr milliseconds kTwinPeace = 2 * kTwinMost;

// Why an attempt failed, and what the server asked for.
struct Setback {
  Error error;
  std::optional<seconds> retry_after;  // of a 429 or 503
  bool refused = false;                // a 403
};

// How an established connection ended.
struct Loss {
  milliseconds lived{0};
  milliseconds spread = 2s;  // of the registration
  seconds retry_after{0};    // of a drain
};

// Time is an argument, chance a constructor's: repeatable in tests. Owned by the driver, on the connection thread.
class Waits {
 public:
  using Random = std::function<milliseconds(milliseconds least, milliseconds most)>;  // uniform, both ends included

  Waits(std::size_t servers, Random random);

  std::size_t server() const { return current_; }  // whose turn it is
  void authenticated() { removed_ = false; }
  void reset();  // an operator's: every wait is over, a new round begins

  // When the next attempt may begin.
  TimePoint after_failure(TimePoint now, const Setback& setback);  // may move on to another server
  TimePoint after_loss(TimePoint now, const Loss& loss);
  TimePoint after_removal(TimePoint now, const Loss& loss);
  TimePoint after_twin(TimePoint now, const Loss& loss);
  TimePoint after_try_later(TimePoint now, const Loss& loss);
  TimePoint after_drain(TimePoint now, const Loss& loss);

 private:
  milliseconds backoff();
  milliseconds spread_of(const Loss& loss);

  Random random_;
  std::vector<TimePoint> not_before_;  // by server; what it asked for
  std::size_t current_ = 0;
  unsigned rounds_ = 0;      // the n of §1
  unsigned twins_ = 0;       // replacements without a long peace between
  bool brief_loss_ = false;  // the last connection was lost within kEstablishedLong
  bool removed_ = false;     // ask every kRemovedWait until the server authenticates us again
};

}  // namespace hawser::connection
