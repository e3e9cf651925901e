#pragma once

#include <atomic>
#include <mutex>

#include "core/base/loop.hpp"
#include "core/control/flight_page.hpp"
#include "core/host/core_link.hpp"

namespace hawser::host {

inline constexpr milliseconds kCallbackBudget{250};  // unless the core's setup says otherwise

// Notes each callback into the plugin in the flight page, and tells the core of one that is open for longer than its
// budget (iso-4), while it is open: the service thread is stuck then, so the control thread watches it.
// A callback costs two looks at the clock and a few stores. What wakes the control thread is one timer descriptor, armed
// by the first callback after a rest of the service thread and disarmed at its next rest: an idle host never ticks.
// Owned by ControlThread, never destroyed before the process ends.
class CallbackWatch {
 public:
  // Control thread, whose loop is `loop`; before the service thread starts.
  CallbackWatch(Loop& loop, CoreLink& link, control::FlightWriter page);
  void set_budget(milliseconds budget) { budget_ = budget; }

  // Service thread.
  class Open;
  void rest();  // before it waits: nothing runs now

 private:
  struct Callback {
    std::uint64_t number = 0;  // 0: none
    const char* name = "";     // lives for good
    TimePoint since{};
  };

  void begin(const Callback& callback);
  void end(const Callback& outer);
  void tell(const char* type, const Callback& callback, Clock::duration taken);
  void set_timer(Clock::duration from_now);  // zero: off
  void look();                               // control thread: the timer ran out

  CoreLink& link_;
  control::FlightWriter page_;  // service thread
  milliseconds budget_ = kCallbackBudget;
  Descriptor timer_;

  // Service thread.
  std::uint64_t last_number_ = 0;
  Callback running_;

  // What the control thread sees of running_; the number changes last at the begin and first at the end.
  std::atomic<std::uint64_t> number_{0};
  std::atomic<const char*> name_{""};
  std::atomic<Clock::rep> since_{0};
  std::atomic<bool> armed_{false};  // the service thread has not rested since, and its callbacks are looked at

  std::mutex mutex_;  // guards reported_, and the order of what the two threads tell of one callback
  std::uint64_t reported_ = 0;
};

// A callback that runs, from here to the end of the scope. One inside of another hides it meanwhile.
class CallbackWatch::Open {
 public:
  Open(CallbackWatch& watch, const char* name) : watch_(watch), outer_(watch.running_) {
    watch_.begin({++watch_.last_number_, name, Clock::now()});
  }
  Open(const Open&) = delete;
  Open& operator=(const Open&) = delete;
  ~Open() { watch_.end(outer_); }

 private:
  CallbackWatch& watch_;
  const Callback outer_;
};

}  // namespace hawser::host
