#include "core/host/callback_watch.hpp"

#include <poll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace hawser::host {
namespace {

// A timer that is due and one that is off are different things; so the shortest wait is not zero.
constexpr Clock::duration kShortestWait = std::chrono::milliseconds(1);

}  // namespace

CallbackWatch::CallbackWatch(Loop& loop, CoreLink& link, control::FlightWriter page)
    : link_(link), page_(std::move(page)), timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) {
  if (!timer_) throw std::system_error(errno, std::generic_category(), "timerfd_create");
  loop.watch(timer_.get(), POLLIN, [this](short) { look(); });
}

void CallbackWatch::begin(const Callback& callback) {
  running_ = callback;
  page_.note(callback.number, callback.name, callback.since);
  name_.store(callback.name, std::memory_order_relaxed);
  since_.store(callback.since.time_since_epoch().count(), std::memory_order_relaxed);
  number_.store(callback.number);
  if (armed_.load(std::memory_order_relaxed)) return;
  armed_.store(true);
  set_timer(budget_);
}

// The number goes first and the clock is read after it: whoever saw the callback open and over its budget was right, and
// is followed by an `overrun_over`.
void CallbackWatch::end(const Callback& outer) {
  const Callback done = running_;
  number_.store(0);
  page_.note(0, "", {});
  const Clock::duration taken = Clock::now() - done.since;
  if (taken >= budget_) {
    const std::lock_guard lock(mutex_);
    tell("overrun_over", done, taken);
    armed_.store(false);  // a callback that was reported is looked at no more; the next one is
  }
  running_ = {};
  if (outer.number != 0) begin(outer);
}

void CallbackWatch::rest() {
  if (!armed_.load(std::memory_order_relaxed)) return;
  armed_.store(false);
  set_timer(Clock::duration::zero());
}

void CallbackWatch::look() {
  std::uint64_t count = 0;
  if (::read(timer_.get(), &count, sizeof count) < 0) return;  // set anew since it ran out
  const std::lock_guard lock(mutex_);
  const Callback open{number_.load(), name_.load(std::memory_order_acquire),
                      TimePoint(Clock::duration(since_.load(std::memory_order_acquire)))};
  if (!armed_.load()) return;  // it rests by now
  const Clock::duration taken = Clock::now() - open.since;
  // Between two callbacks, at a change of them, or another one than at the arming: looked at when that one is due.
  if (open.number == 0 || open.number != number_.load()) return set_timer(budget_);
  if (taken < budget_) return set_timer(std::max<Clock::duration>(budget_ - taken, kShortestWait));
  if (reported_ != open.number) tell("overrun", open, taken);
  reported_ = open.number;
}

void CallbackWatch::tell(const char* type, const Callback& callback, Clock::duration taken) {
  auto message = json::make_object();
  message->set("type", type);
  message->set("callback", callback.name);
  message->set("for_ms", static_cast<Poco::Int64>(std::chrono::duration_cast<milliseconds>(taken).count()));
  // Never refused, however much the plugin has to say; of two that wait only the newer one still matters.
  link_.send_newest("overrun", message);
}

void CallbackWatch::set_timer(Clock::duration from_now) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(from_now);
  itimerspec time{};
  time.it_value.tv_sec = seconds.count();
  time.it_value.tv_nsec = std::chrono::nanoseconds(from_now - seconds).count();
  ::timerfd_settime(timer_.get(), 0, &time, nullptr);
}

}  // namespace hawser::host
