#include "core/config/site_profile.hpp"

#include <algorithm>

#include "core/base/encoding.hpp"
#include "core/config/forms.hpp"
#include "core/config/plugin_file.hpp"

namespace hawser::config {
namespace {

bool holds(const std::vector<std::string>& list, const std::string& id) {
  return std::find(list.begin(), list.end(), id) != list.end();
}

Result<ProfilePlugin> read_plugin(const json::Object& entry) {
  ProfilePlugin plugin;
  const auto enabled = json::bool_member(entry, "enabled");
  if (!enabled) return enabled.error();
  plugin.enabled = *enabled;
  if (entry->has("config")) {
    const auto config = json::object_member(entry, "config");
    if (!config) return config.error();
    plugin.config = *config;
  }
  if (entry->has("version")) {
    const auto version = json::text_member(entry, "version");
    if (!version) return version.error();
    plugin.version = *version;
  }
  return plugin;
}

// Tables key by key; of what stands in both, `over` counts.
json::Object merged(const json::Object& under, const json::Object& over) {
  auto both = json::make_object();
  for (const auto& name : under->getNames()) {
    if (!over->has(name)) {
      both->set(name, under->get(name));
    } else if (under->isObject(name) && over->isObject(name)) {
      both->set(name, merged(under->getObject(name), over->getObject(name)));
    } else {
      both->set(name, over->get(name));
    }
  }
  for (const auto& name : over->getNames()) {
    if (!under->has(name)) both->set(name, over->get(name));
  }
  return both;
}

json::Object config_under(const Settings& local, const std::string& id, const ProfilePlugin& asked) {
  const auto own = local.plugins.find(id);
  return own == local.plugins.end() ? asked.config : merged(asked.config, own->second.config);
}

// Whether it is to run, and why not.
Verdict judge_running(const Settings& local, const SiteProfile* profile, const ProfilePlugin* asked,
                      std::optional<bool> command, const std::string& id) {
  const auto stopped = [](const char* reason, std::string detail) {
    return Verdict{false, false, reason, std::move(detail)};
  };
  const bool named = holds(local.enabled, id);
  if (!check_plugin_id(id).empty()) return stopped("bad_request", "it is no plugin id, as in \"acme.shell\"");
  if (holds(local.disabled, id)) return stopped("local_policy", "plugins.disabled of the device names it");
  if (asked && !asked->enabled)
    return stopped("disabled_by_site", "the profile of site \"" + printable(profile->site) + "\", revision " +
                                           std::to_string(profile->revision) + ", disables it");
  if (command && !*command)
    return stopped("disabled_by_cloud",
                   "the cloud disabled it on this device (plugin_disable); plugin_enable lets it run");
  if (named) return {true, false, "", ""};
  if (!asked && !command) return {};
  if (local.from_cloud) return {true, false, "", ""};
  return stopped("local_policy",
                 "plugins.enabled of the device does not name it, and plugins.from_cloud is false, so the cloud cannot "
                 "enable it");
}

}  // namespace

Result<SiteProfile> read_site_profile(const json::Object& message) {
  SiteProfile profile;
  const auto revision = json::integer_member(message, "revision");
  if (!revision) return revision.error();
  profile.revision = *revision;
  if (message->has("site")) {
    const auto site = json::text_member(message, "site", 0, 255);
    if (!site) return site.error();
    profile.site = *site;
  }
  const auto plugins = json::array_member(message, "plugins", kProfilePluginsMax);
  if (!plugins) return plugins.error();
  for (std::size_t i = 0; i < (*plugins)->size(); ++i) {
    const auto entry = json::object_at(*plugins, i);
    if (!entry) return Error{"policy", "member \"plugins\" has an element that is no object"};
    const auto id = json::text_member(*entry, "id");
    if (!id) return id.error();
    auto plugin = read_plugin(*entry);
    if (!plugin) return plugin.error();
    if (!profile.plugins.emplace(*id, std::move(*plugin)).second)
      return Error{"policy", "member \"plugins\" has \"" + printable(*id) + "\" twice"};
  }
  return profile;
}

json::Object to_json(const SiteProfile& profile) {
  auto plugins = json::make_array();
  for (const auto& [id, plugin] : profile.plugins) {
    auto entry = json::make_object();
    entry->set("id", id);
    entry->set("enabled", plugin.enabled);
    entry->set("config", plugin.config);
    if (!plugin.version.empty()) entry->set("version", plugin.version);
    plugins->add(entry);
  }
  auto object = json::make_object();
  object->set("site", profile.site);
  object->set("revision", static_cast<Poco::Int64>(profile.revision));
  object->set("plugins", plugins);
  return object;
}

const SiteProfile* profile_for(const Settings& local, const CloudWishes& wishes) {
  return wishes.profile && wishes.profile->site == local.site ? &*wishes.profile : nullptr;
}

Verdict judge(const Settings& local, const CloudWishes& wishes, const std::string& id) {
  const SiteProfile* profile = profile_for(local, wishes);
  const ProfilePlugin* asked = nullptr;
  if (profile) {
    const auto entry = profile->plugins.find(id);
    if (entry != profile->plugins.end()) asked = &entry->second;
  }
  const auto command = wishes.commands.find(id);
  Verdict verdict = judge_running(local, profile, asked,
                                  command == wishes.commands.end() ? std::nullopt : std::optional(command->second), id);
  if (!verdict.runs || !asked || asked->config->size() == 0) return verdict;
  const auto without = [&verdict](const char* reason, const char* detail) {
    verdict.reason = reason;
    verdict.detail = detail;
  };
  if (!local.from_cloud) {
    without("local_policy", "plugins.from_cloud of the device is false, so it runs without the profile's config");
  } else if (wishes.refused_configs.count(id) > 0) {
    without("config_refused", "it did not take the profile's config, and runs without it");
  } else if (json::to_text(config_under(local, id, *asked)).size() > kPluginConfigBytesMax) {
    without("too_big", "with the profile's its config takes more than the 49152 bytes allowed, so it runs without it");
  } else {
    verdict.configured = true;
  }
  return verdict;
}

Settings with_wishes(const Settings& local, const CloudWishes& wishes) {
  Settings settings = local;
  settings.enabled.clear();
  std::set<std::string> others;
  const SiteProfile* profile = profile_for(local, wishes);
  if (profile) {
    for (const auto& [id, plugin] : profile->plugins) others.insert(id);
  }
  for (const auto& [id, enabled] : wishes.commands) others.insert(id);
  std::vector<std::string> all = local.enabled;
  for (const auto& id : others) {
    if (!holds(all, id)) all.push_back(id);
  }
  for (const auto& id : all) {
    const Verdict verdict = judge(local, wishes, id);
    if (!verdict.runs) continue;
    settings.enabled.push_back(id);
    PluginSettings& own = settings.plugins[id];
    own.id = id;
    if (verdict.configured) own.config = config_under(local, id, profile->plugins.at(id));
  }
  return settings;
}

}  // namespace hawser::config
