#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
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

inline constexpr milliseconds kLocalSpread = 2s;  // after a loss that was local

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
  bool local = false;        // a link, an address or a sleep of ours: the cloud's spread is not needed
};

// Time is an argument, chance a constructor's: repeatable in tests. Owned by the connection's thread, and used there.
// What a server asked for is kept by its key, also while it stands in no list; so a changed list forgets nothing.
class Waits {
 public:
  using Random = std::function<milliseconds(milliseconds least, milliseconds most)>;  // uniform, both ends included

  // What outlives a restart (sdk/protocol.md §4: 4003 and 4010, 4009).
  struct Ask {
    TimePoint until{};
    bool removed = false;  // ask every kRemovedWait until the server authenticates us again
    bool lasting = false;  // `until` is for longer than a process lives
    bool refused = false;  // a 403: it was about who we are
    bool operator==(const Ask&) const = default;
  };
  struct Memory {
    std::map<std::string, Ask> asks;
    unsigned twins = 0;  // replacements without a long peace between
    bool operator==(const Memory&) const = default;
  };
  static constexpr std::size_t kAsksMax = 128;  // beyond it those that are over go, then the nearest to their end

  explicit Waits(Random random, std::size_t servers = 0);

  // The list. The turn stays with the server that has it; where that one is gone the turn is open, from the head on.
  void follow(std::vector<std::string> keys);
  bool has_servers() const { return !keys_.empty(); }
  std::size_t server() const { return current_; }  // whose turn it is; meaningless without servers
  std::optional<TimePoint> asked(const std::string& key, TimePoint now) const;

  void start_at(std::size_t server);       // before the first attempt
  void dialling() { hold_ = Hold::Same; }  // this server's attempt begins
  void authenticated();
  void established() { tried_ = 0; }  // the next round begins here
  void reset(bool first);             // an operator's: every wait is over, a new round begins here or at the head

  // When the next attempt may begin. Each begins a wait, whose end is due() from then on.
  TimePoint after_failure(TimePoint now, const Setback& setback);  // may move on to another server
  TimePoint after_loss(TimePoint now, const Loss& loss);
  TimePoint after_removal(TimePoint now, const Loss& loss);
  TimePoint after_twin(TimePoint now, const Loss& loss);
  TimePoint after_try_later(TimePoint now, const Loss& loss);
  TimePoint after_drain(TimePoint now, const Loss& loss);

  TimePoint due() const { return due_; }  // TimePoint::max() without servers

  // Another password or model: what a 403 was about has changed, so its wait is over.
  void credentials_changed();

  // What ends the own wait, never what a server asked for (conn-20).
  void hurry(TimePoint now);            // another configuration or lease: at once
  void begin_at_first(TimePoint now);   // as hurry(), and the turn is open from the head of the list on
  void network_changed(TimePoint now);  // a round's wait at once, yet 1 s after its beginning; a spread within 2 s
  void resumed(TimePoint now);          // within 2 s

  const Memory& memory() const { return memory_; }
  void restore(Memory memory) { memory_ = std::move(memory); }

 private:
  enum class Hold { Same, Open };  // whether the turn stays where it is

  milliseconds backoff();
  milliseconds spread_of(const Loss& loss);
  TimePoint begin(TimePoint now, milliseconds own, Hold hold);
  TimePoint settle();
  TimePoint free_at(std::size_t server) const;
  void ask(TimePoint now, milliseconds wait, bool lasting);
  void make_room(TimePoint now);

  Random random_;
  std::vector<std::string> keys_;
  Memory memory_;
  std::size_t current_ = 0;
  std::size_t start_ = 0;  // where the next round begins
  std::size_t tried_ = 0;  // servers of this round
  Hold hold_ = Hold::Same;
  TimePoint began_{}, own_until_{}, due_{};
  unsigned rounds_ = 0;      // the n of §1
  bool brief_loss_ = false;  // the last connection was lost within kEstablishedLong
};

}  // namespace hawser::connection
