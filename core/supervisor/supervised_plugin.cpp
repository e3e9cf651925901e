#include "core/supervisor/supervised_plugin.hpp"

#include <fcntl.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "core/base/encoding.hpp"
#include "core/supervisor/end_cause.hpp"
#include "core/supervisor/words.hpp"

namespace hawser::supervisor {

milliseconds longest_wait(const Timing& timing, int failures) {
  milliseconds most = timing.restart_wait;
  for (int i = 0; i < failures && most < timing.restart_wait_max; ++i) most *= 2;
  return std::min(most, timing.restart_wait_max);
}

SupervisedPlugin::SupervisedPlugin(Loop& loop, Keeper& keeper, std::filesystem::path host_program, Timing timing,
                                   FoundPlugin found, config::PluginSettings settings)
    : loop_(loop),
      keeper_(keeper),
      host_program_(std::move(host_program)),
      timing_(timing),
      found_(std::move(found)),
      settings_(std::move(settings)),
      history_(timing.failures_most, timing.failures_window) {
  if (found_.refusal) {
    apply(PluginEvent::Reject, *found_.refusal);
  } else {
    apply(PluginEvent::Enable);
  }
}

SupervisedPlugin::~SupervisedPlugin() {
  loop_.cancel(clock_);
  loop_.cancel(steady_clock_);
}

void SupervisedPlugin::start() { apply(PluginEvent::Start); }

void SupervisedPlugin::restart(Leaving leaving) {
  failures_ = 0;
  history_.forget();
  leaving_ = leaving;
  apply(process_ ? PluginEvent::RestartAsked : PluginEvent::Start);
}

void SupervisedPlugin::stop(milliseconds limit) {
  timing_.stop_limit = std::min(timing_.stop_limit, limit);
  apply(PluginEvent::StopAsked);
}

void SupervisedPlugin::kill() {
  if (process_) process_->kill();
}

void SupervisedPlugin::condemn(const Error& why) {
  if (!process_) return;
  fail_later(why);
  apply(PluginEvent::Condemned, why);
}

void SupervisedPlugin::look_alive(bool held_up) {
  if (!watch_ || (state_ != PluginState::Ready && state_ != PluginState::Degraded)) return;
  watch_->look_alive(held_up, timing_.ping_interval);
  auto ping = json::make_object();
  ping->set("type", "ping");
  ping->set("id", instance_);
  send(ping);
}

std::string SupervisedPlugin::settings_file() const {
  return settings_.file.empty() ? "plugins.d/" + id() + ".toml" : settings_.file.string();
}

void SupervisedPlugin::send(const json::Object& message) {
  if (!process_) return;
  const auto status = process_->send(message);
  if (!status)
    spdlog::warn("{}: a {} message did not go out: {}", id(), json::text_or(message, "type"), status.error().message);
}

bool SupervisedPlugin::owns(const std::string& service) const {
  if (!found_.manifest) return false;
  const auto& services = found_.manifest->services;
  return std::any_of(services.begin(), services.end(), [&](const trust::Service& s) { return s.name == service; });
}

// The one door of every change of state.
bool SupervisedPlugin::apply(PluginEvent event, const Error& why) {
  const auto row = find_row(life_cycle::kTable, state_, event);
  if (!row) {
    spdlog::debug("{}: {} means nothing while {}", id(), name_of(event), name_of(state_));
    return false;
  }
  const bool changed = row->to != state_;
  if (changed) {
    const bool bad = row->to == PluginState::Backoff || row->to == PluginState::Refused ||
                     row->to == PluginState::Quarantined || row->to == PluginState::Held;
    const auto level = bad ? spdlog::level::warn : spdlog::level::info;
    const std::string line = fmt::format("{} -> {} ({}{}{})", name_of(state_), name_of(row->to), name_of(event),
                                         why.message.empty() ? "" : ": ", why.message);
    // Its health is the plugin's own word, which may change a million times a second; everything else is ours.
    const bool own_word = event == PluginEvent::HealthReady || event == PluginEvent::HealthDegraded;
    own_word ? log_line(level, line) : spdlog::log(level, "{}: {}", id(), line);
    state_ = row->to;
    // A refused host's own end says nothing new; everything else replaces what was said before.
    reason_ = why;
  }
  if (changed) keeper_.on_state(*this);
  act(row->then);
  return true;
}

void SupervisedPlugin::act(PluginAction action) {
  switch (action) {
    case PluginAction::None:
      break;
    case PluginAction::Spawn:
      spawn();
      break;
    case PluginAction::NoteReady:
      note_ready();
      break;
    case PluginAction::StopToRestart:
      restart_wanted_ = true;
      send_stop(timing_.stop_limit);
      break;
    case PluginAction::Stop:
      send_stop(timing_.stop_limit);
      break;
    case PluginAction::KeepStopped:
      restart_wanted_ = false;
      break;
    case PluginAction::EndSoon:
      send_stop(timing_.end_limit);
      break;
    case PluginAction::Kill:
      kill();
      break;
    case PluginAction::Retry:
      retry();
      break;
    case PluginAction::Isolate:
      loop_.cancel(clock_);
      keeper_.on_quarantined(*this);
      break;
    case PluginAction::Forget:
      loop_.cancel(clock_);
      break;
  }
}

void SupervisedPlugin::spawn() {
  loop_.cancel(clock_);
  restart_wanted_ = false;
  leaving_ = Leaving::Nothing;
  degraded_before_ready_.reset();
  cause_of_end_.reset();
  if (!instance_.empty()) ++restarts_;
  instance_ = random_uuid();
  PluginProcess::Events events;
  events.message = [this](const json::Object& message) { on_message(message); };
  events.line = [this](const std::string& line) { log_line(spdlog::level::warn, line); };
  events.broken = [this](const Error& why) {
    fail_later(why);
    apply(PluginEvent::ChannelBroken, why);
  };
  events.ended = [this](const ExitCause& cause) { on_ended(cause); };
  if (const auto started = start_process(std::move(events)); !started) {
    apply(PluginEvent::SpawnFailed, started.error());
    return;
  }
  set_clock(timing_.start_limit, PluginEvent::StartTimeout,
            {"stalled", "did not become ready within " + in_words(timing_.start_limit)});
  auto setup = keeper_.setup_of(*this);
  setup->set("callback_budget_ms", static_cast<Poco::Int64>(timing_.callback_budget.count()));
  const auto status = process_->send(setup);
  if (status) return keeper_.on_started(*this);
  if (status.error().code == "too_big")
    apply(PluginEvent::HostRefused,
          {"config_refused", "its configuration is over the 128 KiB that a host takes: " + settings_.file.string()});
}

Status SupervisedPlugin::start_process(PluginProcess::Events events) {
  auto flight = control::FlightReader::make();
  if (!flight) return flight.error();
  const Descriptor opened(found_.verified ? -1 : ::open(found_.library.c_str(), O_RDONLY | O_CLOEXEC));
  const Descriptor& library = found_.verified ? found_.verified : opened;
  if (!library) return Error{"plugin_missing", "cannot open " + found_.library.string() + ": " + std::strerror(errno)};
  auto process =
      PluginProcess::start(loop_, {host_program_, id(), flight->descriptor(), library.get()}, std::move(events));
  if (!process) return process.error();
  process_ = std::move(*process);
  HostWatch::Events watching;
  watching.condemn = [this](const Error& why) { condemn(why); };
  watching.warn = [this](const std::string& line) { log_line(spdlog::level::warn, line); };
  watch_.emplace(loop_, std::move(*flight), HostWatch::Limits{timing_.callback_budget, stall_limit(), settings_file()},
                 std::move(watching));
  return ok();
}

// The stricter of operator and manifest.
milliseconds SupervisedPlugin::stall_limit() const {
  std::optional<std::int64_t> seconds = settings_.limits.stall_s;
  const auto asked = found_.manifest->limits.stall_s;
  if (asked && (!seconds || *asked < *seconds)) seconds = asked;
  return seconds ? std::chrono::seconds(*seconds) : timing_.stall_limit;
}

void SupervisedPlugin::note_ready() {
  loop_.cancel(clock_);
  loop_.cancel(steady_clock_);
  steady_clock_ = loop_.after(timing_.steady_after, [this] { failures_ = 0; });
  if (degraded_before_ready_) apply(PluginEvent::HealthDegraded, *degraded_before_ready_);
}

void SupervisedPlugin::send_stop(milliseconds limit) {
  auto message = json::make_object();
  message->set("type", "stop");
  message->set("deadline_ms", static_cast<Poco::Int64>(limit.count()));
  const Leaving leaving = std::exchange(leaving_, Leaving::Nothing);
  message->set("keep_state", leaving != Leaving::Nothing);
  message->set("hand_over", leaving == Leaving::StateAndHandover);
  set_clock(limit, PluginEvent::StopTimeout, {"stalled", "did not stop within " + in_words(limit)});
  // A broken channel is no reason to log here: the clock above does the rest.
  if (process_) [[maybe_unused]]
    const auto status = process_->send(message);
}

void SupervisedPlugin::retry() {
  loop_.cancel(steady_clock_);
  const milliseconds most = longest_wait(timing_, failures_);
  ++failures_;
  const milliseconds wait =
      std::max(timing_.restart_wait_min, milliseconds(random_below(static_cast<std::uint64_t>(most.count()) + 1)));
  spdlog::info("{}: starts again in {}", id(), in_words(wait));
  set_clock(wait, PluginEvent::BackoffOver, {});
}

void SupervisedPlugin::set_clock(milliseconds limit, PluginEvent event, const Error& why) {
  loop_.cancel(clock_);
  clock_ = loop_.after(limit, [this, event, why] {
    if (!why.message.empty()) fail_later(why);
    apply(event, why);
  });
}

// The first cause is the one that counts; what follows from it is not.
void SupervisedPlugin::fail_later(const Error& why) {
  if (cause_of_end_) return;
  if (why.code == "closed") return;  // how the process ended says more
  const bool unread = why.code == "queue_full";
  cause_of_end_ = unread ? Error{"stalled", "its host does not read what it is told: " + why.message} : why;
  spdlog::warn("{}: {}", id(), cause_of_end_->message);
}

void SupervisedPlugin::refuse_word(const std::string& what) {
  ++lies_;
  log_line(spdlog::level::warn, "its host said what is refused: " + what);
}

void SupervisedPlugin::on_ended(const ExitCause& cause) {
  if (!cause_of_end_) cause_of_end_ = keeper_.explain_end(*this, cause);
  const Error why = cause_of_end_.value_or(end_cause(cause, watch_ ? watch_->place() : "", settings_file()));
  spdlog::info("{}: process {} {}", id(), process_->pid(), cause.sentence());
  loop_.cancel(clock_);
  loop_.cancel(steady_clock_);
  watch_.reset();
  process_.reset();
  keeper_.on_host_ended(*this, why);
  if (state_ == PluginState::Draining) {
    apply(restart_wanted_ ? PluginEvent::EndedToRestart : PluginEvent::Ended, cause_of_end_.value_or(Error{}));
  } else if (state_ != PluginState::Refused && history_.failed(Clock::now())) {
    apply(PluginEvent::EndedTooOften,
          {"quarantined", "it failed " + std::to_string(timing_.failures_most) + " times within " +
                              in_words(timing_.failures_window) + ", at last: " + why.message +
                              "; a new version, another configuration or hawserctl plugin release " + id() +
                              " lets it start"});
  } else {
    apply(PluginEvent::Ended, why);
  }
}

}  // namespace hawser::supervisor
