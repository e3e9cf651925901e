#pragma once

#include <deque>

#include "core/base/waker.hpp"

namespace hawser::supervisor {

// When a plugin's host failed, as far as it still counts. One thread; time is an argument.
class RestartHistory {
 public:
  RestartHistory(std::size_t most, milliseconds window) : most_(most), window_(window) {}

  // True when this failure makes `most` of them within the window.
  bool failed(TimePoint now) {
    while (!times_.empty() && now - times_.front() > window_) times_.pop_front();
    times_.push_back(now);
    if (times_.size() > most_) times_.pop_front();
    return times_.size() >= most_;
  }
  void forget() { times_.clear(); }

 private:
  std::size_t most_;
  milliseconds window_;
  std::deque<TimePoint> times_;
};

}  // namespace hawser::supervisor
