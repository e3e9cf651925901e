#include "core/supervisor/supervised_plugin.hpp"

#include <algorithm>
#include <csignal>

#include "core/base/encoding.hpp"

namespace hawser::supervisor {
namespace {

constexpr std::size_t kDetailBytesMax = 512;
constexpr std::size_t kLogBytesMax = 2048;
constexpr std::size_t kLogFieldsMax = 16;

std::string in_words(milliseconds time) {
  return time.count() % 1000 == 0 ? std::to_string(time.count() / 1000) + " s" : std::to_string(time.count()) + " ms";
}

spdlog::level::level_enum level_of(const std::string& name) {
  if (name == "debug") return spdlog::level::debug;
  if (name == "warn") return spdlog::level::warn;
  if (name == "error") return spdlog::level::err;
  return spdlog::level::info;
}

Error reason_for(const ExitCause& cause) {
  if (cause.exit_code) return {"exited", "the host " + cause.sentence()};
  const char* hint = cause.signal == SIGKILL ? "; by hand, or by the kernel for lack of memory" : "";
  return {"crashed", "the host " + cause.sentence() + hint};
}

}  // namespace

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
      settings_(std::move(settings)) {
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

void SupervisedPlugin::restart() {
  failures_ = 0;
  apply(process_ ? PluginEvent::RestartAsked : PluginEvent::Start);
}

void SupervisedPlugin::stop(milliseconds limit) {
  timing_.stop_limit = std::min(timing_.stop_limit, limit);
  apply(PluginEvent::StopAsked);
}

void SupervisedPlugin::kill() {
  if (process_) process_->kill();
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
  return std::any_of(services.begin(), services.end(), [&](const Service& s) { return s.name == service; });
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
    const auto level =
        row->to == PluginState::Backoff || row->to == PluginState::Refused ? spdlog::level::warn : spdlog::level::info;
    spdlog::log(level, "{}: {} -> {} ({}{}{})", id(), name_of(state_), name_of(row->to), name_of(event),
                why.message.empty() ? "" : ": ", why.message);
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
    case PluginAction::Forget:
      loop_.cancel(clock_);
      break;
  }
}

void SupervisedPlugin::spawn() {
  loop_.cancel(clock_);
  restart_wanted_ = false;
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
  auto process = PluginProcess::start(loop_, host_program_, id(), std::move(events));
  if (!process) {
    apply(PluginEvent::SpawnFailed, process.error());
    return;
  }
  process_ = std::move(*process);
  set_clock(timing_.start_limit, PluginEvent::StartTimeout,
            {"stalled", "did not become ready within " + in_words(timing_.start_limit)});
  const auto status = process_->send(keeper_.setup_of(*this));
  if (status) return keeper_.on_started(*this);
  if (status.error().code == "too_big")
    apply(PluginEvent::HostRefused,
          {"config_refused", "its configuration is over the 128 KiB that a host takes: " + settings_.file.string()});
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
  cause_of_end_ = why;
  spdlog::warn("{}: {}", id(), why.message);
}

void SupervisedPlugin::on_message(const json::Object& message) {
  const std::string type = json::text_or(message, "type");
  if (type == "ready") {
    apply(PluginEvent::HostReady);
  } else if (type == "refused") {
    on_refused(message);
  } else if (type == "health") {
    on_health(message);
  } else if (type == "log") {
    on_log(message);
  } else {
    keeper_.on_message(*this, type, message);
  }
}

void SupervisedPlugin::on_refused(const json::Object& message) {
  const std::string code = json::text_or(message, "reason");
  const std::string detail = printable(json::text_or(message, "detail"), kDetailBytesMax);
  if (code == "abi_refused" || code == "config_refused") {
    Error why{code, detail.empty() ? "the host gave no detail" : detail};
    if (code == "config_refused" && !settings_.file.empty())
      why.message += "; change it in " + settings_.file.string() + " and start hawserd again";
    if (!cause_of_end_) cause_of_end_ = why;
    apply(PluginEvent::HostRefused, why);
  } else {
    fail_later({"exited", detail.empty() ? "the host gave up and gave no detail" : detail});
  }
}

void SupervisedPlugin::on_health(const json::Object& message) {
  const std::string health = json::text_or(message, "state");
  const Error why{health, printable(json::text_or(message, "detail"), kDetailBytesMax)};
  if (health == "ready") {
    degraded_before_ready_.reset();
    apply(PluginEvent::HealthReady, {"", why.message});
  } else if (health == "degraded") {
    if (state_ == PluginState::Starting) degraded_before_ready_ = why;
    apply(PluginEvent::HealthDegraded, why);
  } else if (health == "faulted") {
    fail_later({"exited", "the plugin says that it cannot go on: " + why.message});
    apply(PluginEvent::HealthFaulted, why);
  }
  // "stopped" is what comes between `stop` and the end of the process, which is what counts.
}

void SupervisedPlugin::on_log(const json::Object& message) {
  std::string line = printable(json::text_or(message, "message"), kLogBytesMax);
  if (const auto fields = json::object_member(message, "fields")) {
    std::size_t count = 0;
    for (const auto& name : fields.value()->getNames()) {
      if (++count > kLogFieldsMax || line.size() > kLogBytesMax) break;
      line += " " + printable(name, 64) + "=" + printable(json::text_or(*fields, name), 256);
    }
  }
  log_line(level_of(json::text_or(message, "level")), line);
}

void SupervisedPlugin::log_line(spdlog::level::level_enum level, const std::string& line) {
  if (!spdlog::should_log(level)) return;
  if (!log_rate_.allow(Clock::now())) return;
  if (const auto lost = log_rate_.take_held_back())
    spdlog::warn("{}: {} log lines were left out, more than {} a second", id(), lost, kLogLinesPerSecond);
  spdlog::log(level, "{}: {}", id(), line);
}

void SupervisedPlugin::on_ended(const ExitCause& cause) {
  const Error why = cause_of_end_.value_or(reason_for(cause));
  spdlog::info("{}: process {} {}", id(), process_->pid(), cause.sentence());
  loop_.cancel(clock_);
  loop_.cancel(steady_clock_);
  process_.reset();
  keeper_.on_host_ended(*this, why);
  const bool asked = state_ == PluginState::Draining;
  apply(asked && restart_wanted_ ? PluginEvent::EndedToRestart : PluginEvent::Ended, asked ? Error{} : why);
}

}  // namespace hawser::supervisor
