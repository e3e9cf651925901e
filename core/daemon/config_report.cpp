#include <algorithm>
#include <array>
#include <cctype>

#include "core/daemon/state_report.hpp"

namespace hawser::daemon {
namespace {

// A plugin's own configuration may hold what we know nothing of: members with such a word in their name are not shown.
constexpr std::array<std::string_view, 6> kSecretWords = {"password", "passwd", "secret", "token", "key", "credential"};

bool sounds_secret(std::string name) {
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return std::any_of(kSecretWords.begin(), kSecretWords.end(),
                     [&](std::string_view word) { return name.find(word) != std::string::npos; });
}

Poco::Dynamic::Var without_secrets(const Poco::Dynamic::Var& value);

json::Object without_secrets(const json::Object& object) {
  auto copy = json::make_object();
  for (const auto& name : object->getNames())
    copy->set(name, sounds_secret(name) ? Poco::Dynamic::Var("(removed)") : without_secrets(object->get(name)));
  return copy;
}

Poco::Dynamic::Var without_secrets(const Poco::Dynamic::Var& value) {
  if (value.type() == typeid(json::Object)) return without_secrets(value.extract<json::Object>());
  if (value.type() != typeid(json::Array)) return value;
  auto copy = json::make_array();
  for (const auto& element : *value.extract<json::Array>()) copy->add(without_secrets(element));
  return copy;
}

json::Object cloud_part(const config::Settings& settings) {
  auto cloud = json::make_object();
  cloud->set("authentication_port", settings.authentication_port);
  auto servers = json::make_array();
  for (const auto& server : settings.servers) {
    auto entry = json::make_object();
    auto ports = json::make_array();
    for (const auto port : server.ports) ports->add(port);
    entry->set("role", server.primary ? "primary" : "backup");
    entry->set("domain", server.domain);
    entry->set("ports", ports);
    servers->add(entry);
  }
  cloud->set("server", servers);
  auto keepalive = json::make_object();
  keepalive->set("interval_s", static_cast<Poco::Int64>(settings.keepalive_interval.count()));
  keepalive->set("count", settings.keepalive_count);
  cloud->set("keepalive", keepalive);
  auto ping = json::make_object();
  ping->set("interval_s", static_cast<Poco::Int64>(settings.ping_interval.count()));
  cloud->set("ping", ping);
  auto tls = json::make_object();
  tls->set("ca_file", settings.ca_file);
  cloud->set("tls", tls);
  return cloud;
}

json::Object plugin_part(const config::PluginSettings& plugin) {
  auto part = json::make_object();
  part->set("file", plugin.file.string());
  part->set("config", without_secrets(plugin.config));
  auto actions = json::make_object();
  for (const auto& [name, action] : plugin.actions) {
    auto entry = json::make_object();
    auto command = json::make_array();
    for (const auto& argument : action.command) command->add(argument);
    entry->set("command", command);
    entry->set("time_limit_ms", static_cast<Poco::Int64>(action.time_limit.count()));
    actions->set(name, entry);
  }
  part->set("actions", actions);
  return part;
}

}  // namespace

json::Object config_report(const config::Settings& settings) {
  auto report = json::make_object();
  auto device = json::make_object();
  device->set("serial", settings.serial);
  device->set("model", settings.model);
  device->set("site", settings.site);
  device->set("hostname", settings.hostname);
  report->set("device", device);
  report->set("cloud", cloud_part(settings));
  auto plugins = json::make_object();
  auto enabled = json::make_array();
  for (const auto& id : settings.enabled) enabled->add(id);
  plugins->set("enabled", enabled);
  report->set("plugins", plugins);
  auto own = json::make_object();
  for (const auto& [id, plugin] : settings.plugins) own->set(id, plugin_part(plugin));
  report->set("plugins_d", own);
  auto log = json::make_object();
  log->set("level", settings.log_level);
  report->set("log", log);
  return report;
}

}  // namespace hawser::daemon
