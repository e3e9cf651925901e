#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>

namespace hawser::cloud {

// How many devices may come back in a second, so that a fleet that lost its cloud finds one that answers: whoever is
// over it is told when its turn will be, about as if they stood in a queue. Owned by the hub, on its thread.
class Admission {
 public:
  static constexpr int kWaitMostS = 120;
  static constexpr std::int64_t kSecondMs = 1000;

  // 0: come in; else the seconds for Retry-After. Never more than `per_second` in any second, whenever it begins;
  // `per_second` may change from call to call.
  int wait_s(int per_second, std::int64_t now_ms) {
    const double rate = per_second, gained = rate * static_cast<double>(now_ms - at_ms_) / kSecondMs;
    at_ms_ = now_ms;
    waiting_ = std::max(0.0, waiting_ - gained);
    while (!admitted_.empty() && now_ms - admitted_.front() >= kSecondMs) admitted_.pop_front();
    if (admitted_.size() < static_cast<std::size_t>(per_second)) {
      admitted_.push_back(now_ms);
      return 0;
    }
    waiting_ += 1;
    return std::min(1 + static_cast<int>(waiting_ / rate), kWaitMostS);
  }

 private:
  std::int64_t at_ms_ = 0;
  std::deque<std::int64_t> admitted_;  // in the last second
  double waiting_ = 0;                 // who was sent away and is about to come again
};

// How often one device may come in, so that one that comes over and over takes no other's turn: of the turns of a
// window a fortieth, and never fewer than kLeast. Owned by the hub, on its thread.
class Share {
 public:
  static constexpr std::int64_t kWindowMs = 10'000;
  static constexpr int kLeast = 10;  // a healthy device needs two, and backs off

  // 0, and it is counted; else the seconds for Retry-After.
  int wait_s(const std::string& serial, int per_second, std::int64_t now_ms) {
    if (now_ms >= ends_ms_) {
      came_.clear();
      ends_ms_ = now_ms + kWindowMs;
    }
    int& count = came_[serial];
    if (count >= std::max(kLeast, per_second / 4)) return static_cast<int>((ends_ms_ - now_ms) / 1000 + 1);
    ++count;
    return 0;
  }

 private:
  std::int64_t ends_ms_ = 0;
  std::unordered_map<std::string, int> came_;  // in this window: only devices that are added
};

}  // namespace hawser::cloud
