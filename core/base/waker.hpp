#pragma once

#include <poll.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <span>

#include "core/base/files.hpp"

namespace hawser {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;
using std::chrono::milliseconds;

// What every wait of a thread goes through, so that another thread can end it at once.
// One thread waits; wake() and cancel() are for any thread and for signal handlers.
class Waker {
 public:
  enum class Woke { Ready, TimedOut, Woken };

  Waker();  // throws std::system_error when the process is out of descriptors

  void wake() noexcept;
  // Asks the waiting thread to give up what it is doing; stays set until rearm().
  void cancel() noexcept {
    cancelled_.store(true);
    wake();
  }
  bool cancelled() const noexcept { return cancelled_.load(); }
  void rearm() noexcept { cancelled_.store(false); }

  // Waits until a descriptor is ready (its revents are set), `deadline`, or a wake() since the last wait. Ready wins
  // over Woken: a wake-up that came with a ready descriptor is reported by the next wait. At most 512 descriptors.
  Woke wait(std::span<pollfd> descriptors, TimePoint deadline);

 private:
  Descriptor event_;
  std::atomic<bool> cancelled_{false};
};

}  // namespace hawser
