#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>

#include "core/base/waker.hpp"

namespace hawser {

// A thread's event loop: descriptors, timers and work handed over by other threads. The thread that calls run() owns it
// and is the only one to call anything but post() and stop(). A task that throws ends run() with that exception: the
// thread's door is around run().
class Loop {
 public:
  using Task = std::function<void()>;
  using Ready = std::function<void(short revents)>;
  using TimerId = std::uint64_t;  // never 0, never reused

  static constexpr std::size_t kPostedMax = 4096;    // tasks waiting in the loop
  static constexpr std::size_t kPostedPerTurn = 64;  // so that neither descriptors nor timers starve

  // Runs until stop(). Posted tasks that are left when it returns are never run.
  void run();
  void stop();  // any thread

  // Hands `task` to the loop's thread. Any thread. False when kPostedMax tasks wait already: the caller decides what
  // that means.
  [[nodiscard]] bool post(Task task);

  TimerId after(milliseconds delay, Task task);
  // The first run comes after one period; a late run does not shift the following ones, missed ones are skipped.
  TimerId every(milliseconds period, Task task);
  void cancel(TimerId id);  // unknown ids are fine

  // `ready` is called while `events` (poll(2)) hold. Replaces an earlier watch of `fd`. Unwatch before closing `fd`.
  void watch(int fd, short events, Ready ready);
  void unwatch(int fd);

  // One turn: waits at most until `limit`, then runs what is due. For tests and for threads with a loop of their own.
  void turn(TimePoint limit);

 private:
  struct Timer {
    TimePoint due;
    milliseconds period;  // 0: once
    Task task;
  };
  struct Watch {
    short events;
    std::uint64_t generation;  // tells a watch from its successor on a reused descriptor
    Ready ready;
  };

  TimerId add_timer(milliseconds delay, milliseconds period, Task task);
  TimePoint next_due(TimePoint limit) const;
  void run_posted();
  void run_timers();

  Waker waker_;
  std::map<TimerId, Timer> timers_;
  std::map<int, Watch> watches_;
  std::uint64_t last_id_ = 0;

  std::mutex mutex_;  // guards the two below
  std::deque<Task> posted_;
  bool stopped_ = false;
};

}  // namespace hawser
