#include "core/connection/waits.hpp"

#include <algorithm>

namespace hawser::connection {

Waits::Waits(std::size_t servers, Random random) : random_(std::move(random)), not_before_(servers) {}

void Waits::reset() {
  std::fill(not_before_.begin(), not_before_.end(), TimePoint{});
  current_ = 0;
  rounds_ = 0;
  twins_ = 0;
  brief_loss_ = false;
  removed_ = false;
}

milliseconds Waits::backoff() {
  const unsigned doublings = std::min(rounds_++, 16U);  // beyond the ceiling, far from an overflow
  return random_(kBackoffFirst, std::min(kBackoffMax, kBackoffFirst * (1 << doublings)));
}

TimePoint Waits::after_failure(TimePoint now, const Setback& setback) {
  if (setback.refused) {
    not_before_[current_] = now + random_(kRefusedLeast, kRefusedMost);
  } else if (setback.retry_after) {
    const auto asked = std::clamp<milliseconds>(*setback.retry_after, kRetryLeast, kRetryMost);
    not_before_[current_] = now + asked + random_(0ms, asked / 5);
  }
  if (removed_) not_before_[current_] = std::max(not_before_[current_], now + kRemovedWait);
  for (++current_; current_ < not_before_.size(); ++current_) {
    if (not_before_[current_] <= now) return now;  // the next server of this round follows at once
  }
  const TimePoint earliest = *std::min_element(not_before_.begin(), not_before_.end());
  const TimePoint due = std::max(now + backoff(), earliest);
  const auto first = std::find_if(not_before_.begin(), not_before_.end(), [&](TimePoint free) { return free <= due; });
  current_ = static_cast<std::size_t>(first - not_before_.begin());
  return due;
}

milliseconds Waits::spread_of(const Loss& loss) {
  const milliseconds spread = random_(0ms, loss.spread);
  if (loss.lived >= kEstablishedLong) {
    rounds_ = 0;
    brief_loss_ = false;
    return spread;
  }
  // A server that accepts and drops at once, with a spread of 0, must not be asked in a tight loop.
  const bool again = brief_loss_;
  brief_loss_ = true;
  return again ? std::max(spread, backoff()) : spread;
}

TimePoint Waits::after_loss(TimePoint now, const Loss& loss) { return now + spread_of(loss); }

TimePoint Waits::after_removal(TimePoint now, const Loss& loss) {
  removed_ = true;
  return now + kRemovedWait + spread_of(loss);
}

TimePoint Waits::after_twin(TimePoint now, const Loss& loss) {
  if (loss.lived >= kTwinPeace) twins_ = 0;
  const milliseconds wait = std::min(kTwinMost, kTwinFirst * (1 << std::min(twins_, 10U)));
  ++twins_;
  return now + wait + spread_of(loss);
}

TimePoint Waits::after_try_later(TimePoint now, const Loss& loss) { return now + kTryLaterWait + spread_of(loss); }

TimePoint Waits::after_drain(TimePoint now, const Loss& loss) {
  Loss without_spread = loss;  // a cloud that drains each new connection at once is backed off from like one that drops
  without_spread.spread = 0ms;
  return now + std::max<milliseconds>(std::clamp<milliseconds>(loss.retry_after, kRetryLeast, kRetryMost),
                                      spread_of(without_spread));
}

}  // namespace hawser::connection
