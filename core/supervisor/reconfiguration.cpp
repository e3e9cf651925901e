// A new configuration while the plugins run (promise conn-25): each is touched only by what concerns it.
#include <algorithm>

#include "core/base/encoding.hpp"
#include "core/base/log.hpp"
#include "core/supervisor/supervisor.hpp"

namespace hawser::supervisor {
namespace {

bool is_enabled(const config::Settings& settings, const std::string& id) {
  return std::find(settings.enabled.begin(), settings.enabled.end(), id) != settings.enabled.end();
}

// What every host is told at its start, and cannot be told again.
bool concerns_every_host(const config::Settings& before, const config::Settings& now) {
  return before.hostname != now.hostname || before.site != now.site || before.ca_file != now.ca_file ||
         before.proxy != now.proxy || before.first_uid != now.first_uid;
}

bool same_config(const config::PluginSettings& a, const config::PluginSettings& b) {
  return json::to_text(a.config) == json::to_text(b.config);
}

// A host knows its actions by name; what they run is the core's affair.
bool same_action_names(const config::PluginSettings& a, const config::PluginSettings& b) {
  return std::equal(a.actions.begin(), a.actions.end(), b.actions.begin(), b.actions.end(),
                    [](const auto& x, const auto& y) { return x.first == y.first; });
}

}  // namespace

void Supervisor::configure(config::Settings settings) {
  if (stopping_) return;  // nothing starts any more
  const config::Settings before = std::exchange(settings_, std::move(settings));
  if (settings_.development_mode && !before.development_mode) spdlog::warn("{}", config::kDevelopmentModeWords);
  if (settings_.development_mode != before.development_mode) admitting_.clear();  // read under other rules
  const bool all = concerns_every_host(before, settings_);
  policies_.set_first_uid(settings_.first_uid);
  for (auto& [id, plugin] : plugins_) {
    if (is_enabled(settings_, id)) {
      if (retiring_.erase(id) > 0) arriving_.insert(id);  // taken back before it was gone
      if (before.development_mode != settings_.development_mode) judge_again(*plugin);
      if (arriving_.count(id) == 0) reconfigure(*plugin, all);
    } else if (retiring_.insert(id).second) {
      spdlog::info("{} is enabled no more: it stops", id);
      plugin->stop(kRetireLimit);
    }
  }
  for (const auto& id : settings_.enabled) {
    if (plugins_.count(id) == 0) arriving_.insert(id);
  }
  std::erase_if(arriving_, [this](const std::string& id) { return !is_enabled(settings_, id); });
  leave_safe_mode("a new configuration");
  change_guard();
}

// Development mode came or went: one that is signed is not touched by that.
void Supervisor::judge_again(SupervisedPlugin& plugin) {
  if (!plugin.found().signed_by.empty() || !arriving_.insert(plugin.id()).second) return;
  if (plugin.pid()) plugin.stop(kRetireLimit);
}

void Supervisor::reconfigure(SupervisedPlugin& plugin, bool restart) {
  const config::PluginSettings now = settings_of(plugin.id());
  const config::PluginSettings& old = plugin.settings();
  const bool another_config = !same_config(old, now);
  if (another_config) refused_configs_.erase(plugin.id());
  restart |= !same_action_names(old, now) || old.spool != now.spool;
  // Walls are put up once in a process: what a new [config] opens or closes takes another host, too.
  const Policy* policy = policies_.in_force(plugin.id());
  restart |= policy && plugin.pid() && needs_another_host(*policy, plan(plugin, now));
  const bool runs = plugin.state() == PluginState::Ready || plugin.state() == PluginState::Degraded;
  // Where another one was on its way, nobody knows which one the host has: it is told in either case.
  const bool superseded = exchange_.forget(plugin.id()).has_value();
  if ((another_config || superseded) && runs && !restart) return exchange_.offer(plugin, now);
  plugin.set_settings(now);
  // A new configuration is also a new chance for one that could not run with the old.
  if (restart || another_config) restart_or_say(plugin.id());
}

void Supervisor::restart_or_say(const std::string& id) {
  restart_in_any_case(id, [](const Status& status) {
    if (!status) spdlog::warn("{}", status.error().message);
  });
}

void Supervisor::on_offered(SupervisedPlugin& plugin, ConfigExchange::Outcome outcome,
                            const config::PluginSettings& settings, const std::string& why) {
  if (outcome == ConfigExchange::Outcome::Refused) {
    const std::string words = plugin.id() + " refuses its new [config] and goes on with the old one: " + why;
    spdlog::warn("{}", words);
    refused_configs_.insert(plugin.id());
    return report(plugin, {"config", "", "config_refused", words});
  }
  plugin.set_settings(settings);
  const bool applied = outcome == ConfigExchange::Outcome::Applied;
  if (!applied) restart_or_say(plugin.id());
  const std::string words = plugin.id() + (applied ? " took its new [config]" : " starts again with its new [config]");
  spdlog::info("{}", words);
  report(plugin, {"config", "", "", words + (why.empty() ? "" : ": " + why)});
}

bool Supervisor::is_settled(const std::string& id) const {
  if (arriving_.count(id) > 0 || retiring_.count(id) > 0 || exchange_.is_open(id)) return false;
  if (restarting_.count(id) > 0 || falling_back_.count(id) > 0) return false;
  const auto found = plugins_.find(id);
  if (found == plugins_.end()) return true;
  const PluginState state = found->second->state();
  return state != PluginState::Discovered && state != PluginState::Enabled && state != PluginState::Starting &&
         state != PluginState::Draining;
}

bool Supervisor::refused_config(const std::string& id) const {
  const auto found = plugins_.find(id);
  const bool down = found != plugins_.end() && found->second->reason().code == "config_refused";
  return down || refused_configs_.count(id) > 0;
}

// Takes out what has stopped, and lets in what waits. Never from inside a plugin's own call.
void Supervisor::change_guard() {
  bool changed = false;
  for (auto at = retiring_.begin(); at != retiring_.end();) {
    if (plugins_.at(*at)->pid()) {
      ++at;
      continue;
    }
    remove(*at);
    at = retiring_.erase(at);
    changed = true;
  }
  if (changed && !on_stopped_) cloud_.set_offers(offers());
  for (const auto& id : arriving_) {
    const bool old_one_runs = plugins_.count(id) > 0 && plugins_.at(id)->pid();
    if (!old_one_runs && admitting_.count(id) == 0) ask_to_admit(id);
  }
}

void Supervisor::remove(const std::string& id) {
  spdlog::info("{} is gone", id);
  exchange_.forget(id);
  book_.remove(id);
  policies_.forget(id);
  forget_probation(id);
  waiting_.erase(id);
  consents_.erase(id);
  refused_configs_.erase(id);
  event_rates_.erase(id);
  plugins_.erase(id);
}

void Supervisor::ask_to_admit(const std::string& id) {
  const auto number = admitting_[id] = ++last_admitting_;
  look_.ask_in_any_case(look_request(id), [this, id, number](Candidates candidates) {
    const auto reading = admitting_.find(id);
    if (reading == admitting_.end() || reading->second != number) return;
    admitting_.erase(reading);
    admit(id, std::move(candidates));
  });
}

// Its files were read. It goes on waiting for one that claims its service and is on its way out.
void Supervisor::admit(const std::string& id, Candidates candidates) {
  if (stopping_ || arriving_.count(id) == 0) return;
  if (plugins_.count(id) > 0 && plugins_.at(id)->pid()) return;  // its end brings it here again
  if (plugins_.count(id) > 0) remove(id);
  Choice choice = choose(std::move(candidates));
  const auto& refusal = choice.plugin.refusal;
  if (refusal && refusal->code == "service_claimed" && !retiring_.empty()) return;
  arriving_.erase(id);
  begin(enter(std::move(choice)));
  cloud_.set_offers(offers());
}

}  // namespace hawser::supervisor
