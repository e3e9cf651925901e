#include "core/connection/waits.hpp"

#include <algorithm>

namespace hawser::connection {

// `servers` without a name are for tests that need none.
Waits::Waits(Random random, std::size_t servers) : random_(std::move(random)) {
  for (std::size_t i = 0; i < servers; ++i) keys_.push_back(std::to_string(i));
}

void Waits::follow(std::vector<std::string> keys) {
  const auto place_of = [&](std::size_t server) -> std::optional<std::size_t> {
    if (server >= keys_.size()) return std::nullopt;
    const auto found = std::find(keys.begin(), keys.end(), keys_[server]);
    if (found == keys.end()) return std::nullopt;
    return static_cast<std::size_t>(found - keys.begin());
  };
  const auto current = place_of(current_), start = place_of(start_);
  keys_ = std::move(keys);
  start_ = start.value_or(0);
  current_ = current.value_or(0);
  if (!current) {
    start_ = tried_ = 0;
    hold_ = Hold::Open;
  }
  settle();
}

void Waits::start_at(std::size_t server) {
  current_ = start_ = server;
  hold_ = Hold::Same;
  settle();
}

std::optional<TimePoint> Waits::asked(const std::string& key, TimePoint now) const {
  const auto found = memory_.asks.find(key);
  if (found == memory_.asks.end() || found->second.until <= now) return std::nullopt;
  return found->second.until;
}

void Waits::authenticated() {
  if (const auto found = memory_.asks.find(keys_.at(current_)); found != memory_.asks.end()) memory_.asks.erase(found);
}

void Waits::reset(bool first) {
  memory_ = {};
  if (first) current_ = 0;
  start_ = current_;
  tried_ = 0;
  rounds_ = 0;
  brief_loss_ = false;
  hold_ = Hold::Same;
  own_until_ = {};
  settle();
}

void Waits::credentials_changed() {
  std::erase_if(memory_.asks, [](const auto& entry) { return entry.second.refused && !entry.second.removed; });
  settle();
}

milliseconds Waits::backoff() {
  const unsigned doublings = std::min(rounds_++, 16U);  // beyond the ceiling, far from an overflow
  return random_(kBackoffFirst, std::min(kBackoffMax, kBackoffFirst * (1 << doublings)));
}

TimePoint Waits::free_at(std::size_t server) const {
  const auto found = memory_.asks.find(keys_[server]);
  return found == memory_.asks.end() ? TimePoint{} : found->second.until;
}

TimePoint Waits::begin(TimePoint now, milliseconds own, Hold hold) {
  began_ = now;
  own_until_ = now + own;
  hold_ = hold;
  return settle();
}

TimePoint Waits::settle() {
  if (keys_.empty()) return due_ = TimePoint::max();
  if (hold_ == Hold::Same) return due_ = std::max(own_until_, free_at(current_));
  TimePoint earliest = TimePoint::max();
  for (std::size_t i = 0; i < keys_.size(); ++i) earliest = std::min(earliest, free_at(i));
  due_ = std::max(own_until_, earliest);
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    current_ = (start_ + i) % keys_.size();
    if (free_at(current_) <= due_) break;
  }
  return due_;
}

void Waits::ask(TimePoint now, milliseconds wait, bool lasting) {
  make_room(now);
  Ask& mine = memory_.asks[keys_.at(current_)];
  mine.until = now + wait;
  mine.lasting = lasting;
  mine.refused = false;
}

void Waits::make_room(TimePoint now) {
  auto& asks = memory_.asks;
  if (asks.size() < kAsksMax) return;
  std::erase_if(asks, [&](const auto& entry) { return entry.second.until <= now && !entry.second.removed; });
  if (asks.size() < kAsksMax) return;
  asks.erase(std::min_element(asks.begin(), asks.end(),
                              [](const auto& a, const auto& b) { return a.second.until < b.second.until; }));
}

TimePoint Waits::after_failure(TimePoint now, const Setback& setback) {
  if (keys_.empty()) return begin(now, 0ms, Hold::Open);
  if (setback.refused) {
    ask(now, random_(kRefusedLeast, kRefusedMost), false);
    memory_.asks.at(keys_.at(current_)).refused = true;
  } else if (setback.retry_after) {
    const auto asked = std::clamp<milliseconds>(*setback.retry_after, kRetryLeast, kRetryMost);
    ask(now, asked + random_(0ms, asked / 5), false);
  }
  const auto known = memory_.asks.find(keys_.at(current_));
  if (known != memory_.asks.end() && known->second.removed) {
    known->second.until = std::max(known->second.until, now + kRemovedWait);
    known->second.lasting = true;
  }
  // Inside a round, which is one pass over the list from where it began, the next server follows at once.
  for (++tried_; tried_ < keys_.size(); ++tried_) {
    current_ = (current_ + 1) % keys_.size();
    if (free_at(current_) <= now) return begin(now, 0ms, Hold::Same);
  }
  tried_ = 0;
  start_ = (current_ + 1) % keys_.size();
  return begin(now, backoff(), Hold::Open);
}

milliseconds Waits::spread_of(const Loss& loss) {
  const milliseconds spread = random_(0ms, loss.local ? std::min(loss.spread, kLocalSpread) : loss.spread);
  if (loss.lived >= kTwinPeace) memory_.twins = 0;
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

TimePoint Waits::after_loss(TimePoint now, const Loss& loss) { return begin(now, spread_of(loss), Hold::Same); }

TimePoint Waits::after_removal(TimePoint now, const Loss& loss) {
  ask(now, kRemovedWait, true);
  memory_.asks[keys_.at(current_)].removed = true;
  return begin(now, kRemovedWait + spread_of(loss), Hold::Same);
}

TimePoint Waits::after_twin(TimePoint now, const Loss& loss) {
  const milliseconds spread = spread_of(loss);
  const milliseconds wait = std::min(kTwinMost, kTwinFirst * (1 << std::min(memory_.twins, 10U)));
  ++memory_.twins;
  ask(now, wait, true);
  return begin(now, wait + spread, Hold::Same);
}

TimePoint Waits::after_try_later(TimePoint now, const Loss& loss) {
  ask(now, kTryLaterWait, false);
  return begin(now, kTryLaterWait + spread_of(loss), Hold::Same);
}

TimePoint Waits::after_drain(TimePoint now, const Loss& loss) {
  Loss without_spread = loss;  // a cloud that drains each new connection at once is backed off from like one that drops
  without_spread.spread = 0ms;
  ask(now, std::clamp<milliseconds>(loss.retry_after, kRetryLeast, kRetryMost), false);
  return begin(now, spread_of(without_spread), Hold::Same);
}

void Waits::hurry(TimePoint now) {
  rounds_ = 0;
  own_until_ = std::min(own_until_, now);
  settle();
}

void Waits::begin_at_first(TimePoint now) {
  start_ = current_ = tried_ = 0;
  hold_ = Hold::Open;
  hurry(now);
}

void Waits::network_changed(TimePoint now) {
  rounds_ = 0;
  const bool round = hold_ == Hold::Open;  // a flood of changes must not make a flood of attempts
  own_until_ = std::min(own_until_, round ? std::max(now, began_ + kBackoffFirst) : now + random_(0ms, kLocalSpread));
  settle();
}

void Waits::resumed(TimePoint now) {
  rounds_ = 0;
  own_until_ = std::min(own_until_, now + random_(0ms, kLocalSpread));
  settle();
}

}  // namespace hawser::connection
