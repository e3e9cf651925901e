#pragma once

#include <algorithm>
#include <span>

#include "core/base/result.hpp"
#include "core/base/waker.hpp"

namespace hawser::transport {

// When a step must be over: after its own limit or at the end of the whole attempt, whichever is sooner.
struct StepLimit {
  TimePoint at;
  bool attempt_ends = false;

  StepLimit(milliseconds step, TimePoint attempt) {
    const TimePoint own = Clock::now() + step;
    attempt_ends = attempt < own;
    at = std::min(own, attempt);
  }
  bool passed() const { return Clock::now() >= at; }
  // The error of its passing: `code` for the step's own limit.
  Error error(const char* code, std::string message) const {
    return {attempt_ends ? "attempt_timeout" : code, std::move(message)};
  }
};

inline Error cancelled_error(const char* doing) { return {"cancelled", std::string(doing) + " was given up"}; }

enum class Waited { Ready, TimedOut, Cancelled };

// Waits until one of `descriptors` is ready. A wake() that is no cancel() goes by.
inline Waited wait_ready(Waker& waker, std::span<pollfd> descriptors, TimePoint limit) {
  for (;;) {
    if (waker.cancelled()) return Waited::Cancelled;
    const Waker::Woke woke = waker.wait(descriptors, limit);
    if (waker.cancelled()) return Waited::Cancelled;
    if (woke == Waker::Woke::Ready) return Waited::Ready;
    if (woke == Waker::Woke::TimedOut) return Waited::TimedOut;
  }
}

}  // namespace hawser::transport
