#include "core/supervisor/host_watch.hpp"

#include <algorithm>

#include "core/base/encoding.hpp"
#include "core/supervisor/words.hpp"

namespace hawser::supervisor {
namespace {

milliseconds whole_ms(Clock::duration time) { return std::chrono::duration_cast<milliseconds>(time); }
std::string ms(milliseconds time) { return std::to_string(time.count()) + " ms"; }

}  // namespace

HostWatch::HostWatch(Loop& loop, control::FlightReader page, Limits limits, Events events)
    : loop_(loop), page_(std::move(page)), limits_(std::move(limits)), events_(std::move(events)) {}

HostWatch::~HostWatch() { loop_.cancel(stall_clock_); }

std::optional<HostWatch::Overrun> HostWatch::open() const {
  const auto running = page_.running();
  if (!running) return std::nullopt;
  return Overrun{running->name, whole_ms(Clock::now() - std::max(running->since, begin_))};
}

std::string HostWatch::place() const {
  const auto running = open();
  return running ? "in the callback " + running->callback + " for " + ms(running->time) : "";
}

std::optional<HostWatch::Overrun> HostWatch::overrun() const {
  if (number_ == 0) return std::nullopt;
  const auto running = page_.running();
  return running && running->number == number_ ? open() : std::nullopt;
}

void HostWatch::on_overrun() {
  const auto running = page_.running();
  if (!running || running->number == number_) return;  // returned meanwhile, or told twice
  number_ = running->number;
  ++overruns_;
  const milliseconds time = open().value_or(Overrun{}).time;
  warn("its callback " + running->name + " runs for " + ms(time) + ", over its budget of " + ms(limits_.budget));
  set_stall_clock(limits_.stall - time);
}

void HostWatch::on_overrun_over(const json::Object& message) {
  number_ = 0;
  loop_.cancel(stall_clock_);
  const auto most = whole_ms(Clock::now() - begin_).count();
  const milliseconds time{std::clamp<std::int64_t>(json::integer_or(message, "for_ms", 0), 0, most)};
  warn("its callback " + printable(json::text_or(message, "callback"), control::kFlightNameBytes) + " returned after " +
       ms(time) + ", over its budget of " + ms(limits_.budget));
}

void HostWatch::set_stall_clock(milliseconds from_now) {
  loop_.cancel(stall_clock_);
  const milliseconds wait = std::max(from_now, milliseconds{0});
  stall_clock_ = loop_.after(wait, [this, due = Clock::now() + wait] { look_for_stall(due); });
}

void HostWatch::look_for_stall(TimePoint due) {
  if (Clock::now() - due > kHeldUp) return set_stall_clock(limits_.stall);
  const auto running = page_.running();
  if (!running || running->number != number_) {
    number_ = 0;
    return;  // the word that it returned is on its way
  }
  events_.condemn({"stalled", place() + ", over its limit of " + in_words(limits_.stall) +
                                  "; stall = \"...\" under [limits] in " + limits_.file + " raises it"});
}

void HostWatch::look_alive(bool held_up, milliseconds round) {
  const bool silent = pinged_ && !heard_ && !held_up;
  pinged_ = true;
  heard_ = false;
  if (!silent) return;
  const std::string where = place();
  events_.condemn({"stalled", "its host did not answer for " + in_words(round) + (where.empty() ? "" : ", " + where) +
                                  ": it was stopped from outside, or the plugin took hold of it"});
}

void HostWatch::warn(const std::string& line) {
  if (!lines_.allow(Clock::now())) return;
  const auto more = lines_.take_held_back();
  events_.warn(line + (more == 0 ? "" : "; " + std::to_string(more) + " such lines were left out before it"));
}

}  // namespace hawser::supervisor
