#pragma once

#include <cstdint>
#include <mutex>

#include "core/base/waker.hpp"

namespace hawser::host {

inline constexpr std::chrono::milliseconds kPaceBurst{100};  // so much of a second's bytes may go at once

// The bytes per second that a plugin may send to the cloud, on all of its subconnections together. A message goes whole;
// the wait for it comes after it. Any thread.
class Pace {
 public:
  explicit Pace(std::int64_t bytes_per_second) : rate_(bytes_per_second) {}  // 0: no limit

  // When the next message may go; in the past: now.
  TimePoint next() const {
    const std::lock_guard lock(mutex_);
    return free_at_ - kPaceBurst;
  }
  void sent(std::size_t bytes, TimePoint now) {
    if (rate_ <= 0) return;
    const std::lock_guard lock(mutex_);
    const double seconds = static_cast<double>(bytes) / static_cast<double>(rate_);
    const auto cost = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    free_at_ = std::max(free_at_, now) + cost;
  }

 private:
  const std::int64_t rate_;
  mutable std::mutex mutex_;
  TimePoint free_at_{};  // when all that was sent is paid for
};

}  // namespace hawser::host
