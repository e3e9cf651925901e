#include "core/daemon/cloud_plugins.hpp"

#include <algorithm>

#include "core/base/encoding.hpp"
#include "core/base/log.hpp"
#include "core/trust/manifest.hpp"

namespace hawser::daemon {
namespace {

using Var = Poco::Dynamic::Var;

constexpr std::size_t kCloudWordsMax = 512;

// "acme.shell enabled with a configuration, acme.probe disabled"
std::string in_words(const config::SiteProfile& profile) {
  std::string words;
  for (const auto& [id, plugin] : profile.plugins) {
    words += (words.empty() ? "" : ", ") + printable(id, 64) + (plugin.enabled ? " enabled" : " disabled");
    if (plugin.config->size() > 0) words += " with a configuration";
  }
  return words.empty() ? "no plugins" : printable(words, kCloudWordsMax);
}

std::vector<std::string> ids_of(const config::SiteProfile& profile) {
  std::vector<std::string> ids;
  for (const auto& [id, plugin] : profile.plugins) ids.push_back(id);
  return ids;
}

}  // namespace

config::Verdict CloudPlugins::verdict(const std::string& plugin) const {
  return config::judge(house_.reloader.local(), house_.kept.value(), plugin);
}

// New wishes are kept, and lie over the configuration from here on.
void CloudPlugins::change(config::CloudWishes wishes, const connection::Event& event) {
  house_.kept.set(std::move(wishes));
  tell_(event);
  for (const auto& key : house_.reloader.layer_again()) spdlog::info("changed by the cloud: {}", key);
}

void CloudPlugins::take(const std::string& id, config::SiteProfile profile) {
  const std::string& site = house_.reloader.local().site;
  if (!profile.site.empty() && profile.site != site)
    return spdlog::info("a profile of the site \"{}\" is dropped: this device is at \"{}\"", printable(profile.site),
                        printable(site));
  profile.site = site;
  const auto ids = ids_of(profile);
  const auto* old = config::profile_for(house_.reloader.local(), house_.kept.value());
  if (old && profile.revision < old->revision) {
    spdlog::warn("site profile: revision {} is lower than {}, which stays", profile.revision, old->revision);
    return answer(id, ids, "revision_lower");
  }
  if (!old || json::to_text(config::to_json(*old)) != json::to_text(config::to_json(profile))) {
    const connection::Event event{"config", "", "",
                                  "the cloud's profile of site \"" + printable(site) + "\", revision " +
                                      std::to_string(profile.revision) + ": " + in_words(profile)};
    config::CloudWishes wishes = house_.kept.value();
    wishes.profile = std::move(profile);
    wishes.refused_configs.clear();
    change(std::move(wishes), event);
  }
  wait(ids, [this, id, ids] { answer(id, ids, ""); });
}

void CloudPlugins::enable(const std::string& plugin, const control::Reply& reply) {
  if (!trust::is_plugin_id(plugin))
    return reply(Error{"bad_request", "\"" + printable(plugin, 80) + "\" is no plugin id, as in \"acme.shell\""});
  config::CloudWishes wishes = house_.kept.value();
  wishes.commands.erase(plugin);
  config::Verdict without = config::judge(house_.reloader.local(), wishes, plugin);
  if (!without.runs) wishes.commands[plugin] = true;
  const config::Verdict now = config::judge(house_.reloader.local(), wishes, plugin);
  if (!now.runs) return reply(Error{now.reason, plugin + " is not enabled: " + now.detail});
  if (wishes.commands.size() > kCommandedMax)
    return reply(Error{"too_many_requests", "256 plugins were enabled or disabled on this device by command already"});
  if (wishes.commands != house_.kept.value().commands)
    change(std::move(wishes), {"config", "", "", plugin + " is enabled by the cloud (plugin_enable)"});
  answer_command(plugin, reply, true);
}

void CloudPlugins::disable(const std::string& plugin, const control::Reply& reply) {
  if (!trust::is_plugin_id(plugin))
    return reply(Error{"bad_request", "\"" + printable(plugin, 80) + "\" is no plugin id, as in \"acme.shell\""});
  config::CloudWishes wishes = house_.kept.value();
  wishes.commands[plugin] = false;
  if (wishes.commands.size() > kCommandedMax)
    return reply(Error{"too_many_requests", "256 plugins were enabled or disabled on this device by command already"});
  if (wishes.commands != house_.kept.value().commands)
    change(std::move(wishes),
           {"config", "", "disabled_by_cloud", plugin + " is disabled by the cloud (plugin_disable)"});
  answer_command(plugin, reply, false);
}

void CloudPlugins::answer_command(const std::string& plugin, const control::Reply& reply, bool wanted) {
  wait({plugin}, [this, plugin, reply, wanted] {
    auto now = entry(plugin);
    const std::string state = json::text_or(now, "state"), reason = json::text_or(now, "reason");
    if (wanted && state == "refused")
      return reply(Error{reason.empty() ? "bad_request" : reason,
                         plugin + " is enabled, but does not run: " + json::text_or(now, "detail")});
    now->remove("id");
    now->set("plugin", plugin);
    reply(now);
  });
}

void CloudPlugins::discard() {
  if (!house_.kept.value().profile && house_.kept.value().commands.empty()) return;
  change(config::CloudWishes{},
         {"config", "", "unbound", "what the old binding's cloud wanted of the plugins counts no more"});
}

// As site_profile_result tells of it.
json::Object CloudPlugins::entry(const std::string& plugin) const {
  const config::Verdict wanted = verdict(plugin);
  const auto* found = house_.supervisor.find(plugin);
  std::string state = "stopped", reason = wanted.reason, detail = wanted.detail;
  if (found) {
    state = std::string(name_of(found->state()));
    const bool own = wanted.runs && !found->reason().code.empty();
    if (own) reason = found->reason().code;
    if (own) detail = found->reason().message;
  }
  const auto* profile = config::profile_for(house_.reloader.local(), house_.kept.value());
  if (profile && found && reason.empty()) {
    const auto asked = profile->plugins.find(plugin);
    const std::string version = asked == profile->plugins.end() ? "" : asked->second.version;
    if (!version.empty() && version != found->found().version) {
      reason = "version_missing";
      detail = "the profile asks for " + printable(version, 64) + "; " + found->found().version + " runs";
    }
  }
  auto object = json::make_object();
  object->set("id", plugin);
  object->set("state", state);
  if (!reason.empty()) object->set("reason", printable(reason, 128));
  if (!detail.empty()) object->set("detail", printable(detail, kCloudWordsMax));
  return object;
}

void CloudPlugins::answer(const std::string& id, const std::vector<std::string>& plugins, const std::string& reason) {
  const auto* profile = config::profile_for(house_.reloader.local(), house_.kept.value());
  auto entries = json::make_array();
  for (const auto& plugin : plugins) entries->add(entry(plugin));
  auto message = json::make_object();
  message->set("type", "site_profile_result");
  message->set("id", id);
  message->set("revision", static_cast<Poco::Int64>(profile ? profile->revision : 0));
  message->set("plugins", entries);
  if (!reason.empty()) message->set("reason", reason);
  house_.connection.site_profile_result(message);
}

void CloudPlugins::wait(std::vector<std::string> plugins, std::function<void()> done) {
  if (waiting_.size() >= kWaitingMax) return done();
  waiting_.push_back({std::move(plugins), Clock::now() + kSettleLimit, std::move(done)});
  if (clock_ == 0) clock_ = house_.loop.after(milliseconds(0), [this] { look(); });
}

void CloudPlugins::look() {
  clock_ = 0;
  give_up_refused_configs();
  const auto rests = [this](const std::string& plugin) {
    return house_.supervisor.is_settled(plugin) && verdict(plugin).runs == (house_.supervisor.find(plugin) != nullptr);
  };
  std::vector<Waiting> ready;
  for (auto at = waiting_.begin(); at != waiting_.end();) {
    if (Clock::now() >= at->until || std::all_of(at->plugins.begin(), at->plugins.end(), rests)) {
      ready.push_back(std::move(*at));
      at = waiting_.erase(at);
    } else {
      ++at;
    }
  }
  for (const auto& one : ready) one.done();
  if (!waiting_.empty() && clock_ == 0) clock_ = house_.loop.after(kSettleLook, [this] { look(); });
}

// What a plugin does not take from the cloud must not keep it from running, now or after the next start.
void CloudPlugins::give_up_refused_configs() {
  config::CloudWishes wishes = house_.kept.value();
  std::string words;
  for (const auto& one : waiting_) {
    for (const auto& plugin : one.plugins) {
      if (!verdict(plugin).configured || !house_.supervisor.refused_config(plugin)) continue;
      if (wishes.refused_configs.insert(plugin).second) words += (words.empty() ? "" : ", ") + plugin;
    }
  }
  if (words.empty()) return;
  spdlog::warn("site profile: its configuration of {} is not taken, and left out", words);
  change(std::move(wishes),
         {"config", "", "config_refused", "the profile's configuration is left out, since not taken, of: " + words});
}

Var CloudPlugins::wish_for(const std::string& plugin) const {
  const auto& wishes = house_.kept.value();
  const auto* profile = config::profile_for(house_.reloader.local(), wishes);
  const bool in_profile = profile && profile->plugins.count(plugin) > 0;
  const auto command = wishes.commands.find(plugin);
  if (!in_profile && command == wishes.commands.end()) return {};
  const config::Verdict wanted = verdict(plugin);
  std::string words;
  if (in_profile)
    words = "site profile, revision " + std::to_string(profile->revision) + ": " +
            (profile->plugins.at(plugin).enabled ? "enabled" : "disabled") +
            (wanted.configured ? ", with its configuration" : "");
  if (command != wishes.commands.end())
    words += std::string(words.empty() ? "" : "; ") + (command->second ? "enabled" : "disabled") + " by command";
  if (!wanted.reason.empty()) words += "; " + wanted.detail;
  auto object = json::make_object();
  object->set("reason", wanted.reason.empty() ? Var() : Var(wanted.reason));
  object->set("detail", words);
  return object;
}

std::vector<std::string> CloudPlugins::kept_from_running() const {
  const config::Settings& local = house_.reloader.local();
  std::vector<std::string> ids = local.disabled;
  if (const auto* profile = config::profile_for(local, house_.kept.value()))
    for (const auto& [id, plugin] : profile->plugins) ids.push_back(id);
  for (const auto& [id, enabled] : house_.kept.value().commands) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  std::erase_if(ids, [this](const std::string& id) { return house_.supervisor.find(id) != nullptr; });
  return ids;
}

// With the members of plugin_list that there are.
json::Object CloudPlugins::stopped_entry(const std::string& plugin) const {
  auto object = entry(plugin);
  for (const char* name : {"version", "pid", "reason", "detail", "overruns", "overrun", "upgrade"})
    if (!object->has(name)) object->set(name, Var());
  object->set("restarts", 0);
  object->set("refused_messages", 0);
  object->set("services", json::make_array());
  object->set("cloud", wish_for(plugin));
  return object;
}

Var CloudPlugins::profile_state() const {
  const auto* profile = config::profile_for(house_.reloader.local(), house_.kept.value());
  if (!profile) return {};
  auto plugins = json::make_array();
  for (const auto& [id, plugin] : profile->plugins) plugins->add(entry(id));
  auto object = json::make_object();
  object->set("revision", static_cast<Poco::Int64>(profile->revision));
  object->set("plugins", plugins);
  return object;
}

}  // namespace hawser::daemon
