// Which plugins may run at all, and whether those that run are still there: pings, quarantine, safe mode.
#include "core/base/encoding.hpp"
#include "core/base/log.hpp"
#include "core/base/rfc3339.hpp"
#include "core/supervisor/supervisor.hpp"

namespace hawser::supervisor {
namespace {

Error isolated(const Quarantine::Entry& entry) { return {"quarantined", entry.why}; }

}  // namespace

// Every host in one turn: one wake-up of the agent for all of them.
void Supervisor::look_around() {
  const TimePoint now = Clock::now();
  const bool held_up = now - last_round_ > timing_.ping_interval + kHeldUp;
  last_round_ = now;
  for (auto& [id, plugin] : plugins_) plugin->look_alive(held_up);
}

const Quarantine::Entry* Supervisor::isolation_of(const FoundPlugin& found, const config::PluginSettings& settings) {
  const auto* entry = quarantine_.find(found.id);
  if (!entry || entry->make == make_of(found, settings)) return entry;
  quarantine_.release(found.id);
  report_release(found.id, "it has another file or another configuration");
  return nullptr;
}

void Supervisor::begin(SupervisedPlugin& plugin) {
  if (plugin.found().refusal) return;
  const auto* entry = isolation_of(plugin.found(), plugin.settings());
  if (!entry && !safe_mode_) return plugin.start();
  const Error why = entry ? isolated(*entry) : *safe_mode_;
  entry ? plugin.isolate(why) : plugin.hold(why);
  book_.host_ended(plugin.id(), why.code, why.message);
}

void Supervisor::on_quarantined(SupervisedPlugin& plugin) {
  quarantine_.put(plugin.id(), {make_of(plugin.found(), plugin.settings()), rfc3339(std::chrono::system_clock::now()),
                                plugin.reason().message});
  book_.host_ended(plugin.id(), plugin.reason().code, plugin.reason().message);
  cloud_.report({"quarantine", "", "quarantined", plugin.id() + " is in quarantine: " + plugin.reason().message});
}

void Supervisor::report_release(const std::string& id, const std::string& why) {
  spdlog::info("{} is let out of quarantine: {}", id, why);
  cloud_.report({"quarantine", "", "released", id + " is let out of quarantine: " + why});
}

void Supervisor::release(const std::string& id, const Answered& done) {
  const bool was_kept = quarantine_.release(id);
  const bool had_failed = versions_.forgive(id);
  const auto found = plugins_.find(id);
  if (was_kept) report_release(id, "by the operator");
  if (found == plugins_.end() || retiring_.count(id) > 0) {
    if (was_kept) return done(ok());
    return done(
        Error{"not_found", "no plugin \"" + printable(id, 80) + "\" is enabled; plugin list shows those that are"});
  }
  const PluginState state = found->second->state();
  if (!was_kept && !had_failed && state != PluginState::Quarantined && state != PluginState::Held)
    return done(Error{"bad_request", id + " is " + std::string(name_of(state)) +
                                         ", not in quarantine, and nothing was done; plugin restart starts it anew"});
  restart_in_any_case(id, done);
}

std::vector<std::string> Supervisor::release_all() {
  std::vector<std::string> released;
  for (auto& [id, plugin] : plugins_) {
    if (plugin->state() == PluginState::Quarantined || plugin->state() == PluginState::Held) released.push_back(id);
  }
  leave_safe_mode("by the operator");
  for (const auto& id : released) {
    if (plugins_.at(id)->state() != PluginState::Quarantined) continue;
    release(id, [](const Status& status) {
      if (!status) spdlog::warn("{}", status.error().message);
    });
  }
  return released;
}

void Supervisor::enter_safe_mode(const Error& why, std::function<void()> left) {
  safe_mode_ = why;
  safe_mode_left_ = std::move(left);
  spdlog::error("safe mode: {}", why.message);
  cloud_.report({"quarantine", "", why.code, "safe mode: " + why.message});
}

void Supervisor::leave_safe_mode(const std::string& why) {
  if (!safe_mode_) return;
  safe_mode_.reset();
  if (const auto left = std::exchange(safe_mode_left_, nullptr)) left();
  spdlog::info("safe mode is over: {}", why);
  cloud_.report({"quarantine", "", "released", "safe mode is over: " + why});
  for (auto& [id, plugin] : plugins_) {
    if (plugin->state() == PluginState::Held) plugin->start();
  }
}

}  // namespace hawser::supervisor
