#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "core/base/waker.hpp"

namespace hawser::supervisor {

// Lets through `per_second` on average and `burst` at once, and counts what it held back. One thread; time is an
// argument.
class RateLimit {
 public:
  RateLimit(double per_second, double burst) : per_second_(per_second), burst_(burst), stock_(burst) {}

  bool allow(TimePoint now) {
    if (now > last_)
      stock_ = std::min(burst_, stock_ + std::chrono::duration<double>(now - last_).count() * per_second_);
    last_ = std::max(last_, now);
    if (stock_ < 1) {
      ++held_back_;
      return false;
    }
    stock_ -= 1;
    return true;
  }

  double per_second() const { return per_second_; }

  // How many were held back since the last call.
  std::uint64_t take_held_back() {
    const auto count = held_back_;
    held_back_ = 0;
    return count;
  }

 private:
  double per_second_, burst_, stock_;
  TimePoint last_{};
  std::uint64_t held_back_ = 0;
};

}  // namespace hawser::supervisor
