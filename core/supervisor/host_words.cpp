// What a host says to its plugin's own state: ready, refused, health, log, overrun. Hostile data.
#include "core/base/encoding.hpp"
#include "core/supervisor/subconnection_book.hpp"
#include "core/supervisor/supervised_plugin.hpp"

namespace hawser::supervisor {
namespace {

constexpr std::size_t kLogBytesMax = 2048;
constexpr std::size_t kLogFieldsMax = 16;

spdlog::level::level_enum level_of(const std::string& name) {
  if (name == "debug") return spdlog::level::debug;
  if (name == "warn") return spdlog::level::warn;
  if (name == "error") return spdlog::level::err;
  return spdlog::level::info;
}

}  // namespace

bool SupervisedPlugin::hear_watch(const std::string& type, const json::Object& message) {
  if (!watch_) return false;
  watch_->heard();
  if (type == "overrun") watch_->on_overrun();
  if (type == "overrun_over") watch_->on_overrun_over(message);
  return type == "overrun" || type == "overrun_over";
}

void SupervisedPlugin::on_message(const json::Object& message) {
  const std::string type = json::text_or(message, "type");
  if (hear_watch(type, message)) return;
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
      why.message += "; change it in " + settings_.file.string() + " and run: hawserctl config reload";
    if (!cause_of_end_) cause_of_end_ = why;
    apply(PluginEvent::HostRefused, why);
  } else if (code == "out_of_memory") {
    fail_later(keeper_.over_memory(*this, detail));
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
  const auto level = level_of(json::text_or(message, "level"));
  if (!may_log(level)) return;  // first, so that what a flood costs us is small
  std::string line = printable(json::text_or(message, "message"), kLogBytesMax);
  if (const auto fields = json::object_member(message, "fields")) {
    std::size_t count = 0;
    for (const auto& name : fields.value()->getNames()) {
      if (++count > kLogFieldsMax || line.size() > kLogBytesMax) break;
      line += " " + printable(name, 64) + "=" + printable(json::text_or(*fields, name), 256);
    }
  }
  spdlog::log(level, "{}: {}", id(), line);
}

void SupervisedPlugin::log_line(spdlog::level::level_enum level, const std::string& line) {
  if (may_log(level)) spdlog::log(level, "{}: {}", id(), line);
}

bool SupervisedPlugin::may_log(spdlog::level::level_enum level) {
  const TimePoint now = Clock::now();
  if (!spdlog::should_log(level) || !log_rate_.allow(now)) return false;
  if (now - left_out_told_ >= kLeftOutEvery) {
    if (const auto lost = log_rate_.take_held_back()) {
      spdlog::warn("{}: {} log lines were left out, more than {} a second", id(), lost, log_rate_.per_second());
      left_out_told_ = now;
    }
  }
  return true;
}

}  // namespace hawser::supervisor
