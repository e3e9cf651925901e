#pragma once

#include <algorithm>
#include <cstdint>

#include "core/base/waker.hpp"

namespace hawser::connection {

// When keepalives and pings go out and when the peer counts as gone (sdk/protocol.md §4). Pure: time is an argument.
// One object for each established connection, on the connection thread.
class Keepalive {
 public:
  enum class Due { Nothing, Send, Expired };
  static constexpr milliseconds kExtraGap{5'000};

  // `first` is random(0, interval).
  Keepalive(TimePoint now, milliseconds first, milliseconds interval, int count)
      : interval_(interval), count_(count), next_(now + first) {}

  TimePoint next() const { return next_; }

  // Send: a scheduled keepalive goes out now, with seq(). Expired: `count` in a row stayed unanswered.
  Due turn(TimePoint now) {
    if (now < next_) return Due::Nothing;
    if (sent_scheduled_ && !answered_ && ++unanswered_ >= count_) return Due::Expired;
    sent_scheduled_ = true;
    answered_ = false;
    ++seq_;
    // A thread that slept long (suspend) does not send the missed ones in a burst.
    do next_ += interval_;
    while (next_ <= now);
    return Due::Send;
  }

  // One that somebody asked for: it neither shifts the schedule nor counts as unanswered. But only an answer to the
  // newest counts, so that extras in a row, each before the answer to the one before, would starve the scheduled ones:
  // the next may go when the newest is answered, or after kExtraGap.
  TimePoint next_extra() const { return seq_ == acked_ ? TimePoint{} : extra_at_ + kExtraGap; }
  std::int64_t extra(TimePoint now) {
    extra_at_ = now;
    return ++seq_;
  }

  std::int64_t seq() const { return seq_; }  // of the newest; 0 before the first

  // True when it was the newest one's: only that resets the count.
  bool acknowledged(std::int64_t seq) {
    if (seq != seq_ || seq_ == 0) return false;
    acked_ = seq;
    answered_ = true;
    unanswered_ = 0;
    return true;
  }

 private:
  milliseconds interval_;
  int count_;
  TimePoint next_;
  std::int64_t seq_ = 0, acked_ = 0;
  TimePoint extra_at_{};
  bool sent_scheduled_ = false;
  bool answered_ = false;
  int unanswered_ = 0;
};

// Pings go out on a schedule of their own; any inbound byte shows that the peer lives.
class PingSchedule {
 public:
  static constexpr milliseconds kHangUpMargin{15'000};

  PingSchedule(TimePoint now, milliseconds interval) : interval_(interval), next_(now + interval) {}

  TimePoint next(TimePoint last_inbound) const { return std::min(next_, last_inbound + interval_ + kHangUpMargin); }

  bool is_due(TimePoint now) {
    if (now < next_) return false;
    do next_ += interval_;
    while (next_ <= now);
    return true;
  }

  bool is_hung_up(TimePoint now, TimePoint last_inbound) const {
    return now >= last_inbound + interval_ + kHangUpMargin;
  }

 private:
  milliseconds interval_;
  TimePoint next_;
};

}  // namespace hawser::connection
