#pragma once

#include <functional>
#include <optional>
#include <string>

#include "core/base/json.hpp"
#include "core/base/log.hpp"
#include "core/base/loop.hpp"
#include "core/control/flight_page.hpp"
#include "core/supervisor/rate_limit.hpp"

namespace hawser::supervisor {

// Our own lateness from which on we were held up ourselves (stopped, or starved of the processor): then nobody else is
// judged by the clock, but gets his time once more.
inline constexpr milliseconds kHeldUp{1000};

inline constexpr double kOverrunLinesPerSecond = 0.1;  // in the log, of one host
inline constexpr double kOverrunLinesBurst = 10;

// Watches one running host (iso-4): a callback that is open for too long, and a control thread that does not answer.
// The flight page is read only while a callback is over its budget, and at the end. What the host says and what stands in
// its page is hostile data: the worst it does is to condemn its own plugin, or to hide that it is stuck.
// Owned by SupervisedPlugin, lives on the loop's thread.
class HostWatch {
 public:
  struct Limits {
    milliseconds budget, stall;
    std::string file;  // where an operator changes them
  };
  struct Events {
    std::function<void(const Error&)> condemn;  // it has broken its limit; once
    std::function<void(const std::string&)> warn;
  };
  HostWatch(Loop& loop, control::FlightReader page, Limits limits, Events events);
  HostWatch(const HostWatch&) = delete;
  HostWatch& operator=(const HostWatch&) = delete;
  ~HostWatch();

  int page_descriptor() const { return page_.descriptor(); }

  // The host's messages `overrun` and `overrun_over`; heard() comes with every message.
  void on_overrun();
  void on_overrun_over(const json::Object& message);
  void heard() { heard_ = true; }

  // Once a round: condemns a host that has not said anything since the ping of the round before. The caller then pings it.
  // `held_up`: the round itself came late.
  void look_alive(bool held_up, milliseconds round);

  // The callback that is over its budget now, and how long it runs; for the displays.
  struct Overrun {
    std::string callback;
    milliseconds time;
  };
  std::optional<Overrun> overrun() const;
  std::uint64_t overruns() const { return overruns_; }  // how often one was, since the host's start

  // What the page says now, also when the host is gone: "in the callback timer for 10003 ms"; empty where none is open.
  std::string place() const;

 private:
  std::optional<Overrun> open() const;
  void look_for_stall(TimePoint due);
  void set_stall_clock(milliseconds from_now);
  void warn(const std::string& line);

  Loop& loop_;
  const control::FlightReader page_;
  const Limits limits_;
  const Events events_;
  const TimePoint begin_ = Clock::now();  // no callback is older, whatever the page says
  std::uint64_t number_ = 0;              // of the callback that is over its budget; 0: none
  std::uint64_t overruns_ = 0;
  bool heard_ = false, pinged_ = false;
  Loop::TimerId stall_clock_ = 0;
  RateLimit lines_{kOverrunLinesPerSecond, kOverrunLinesBurst};
};

}  // namespace hawser::supervisor
