#include "core/config/show.hpp"

#include "core/config/hardware.hpp"

namespace hawser::config {
namespace {

json::Array texts(const std::vector<std::string>& list) {
  auto array = json::make_array();
  for (const auto& one : list) array->add(one);
  return array;
}

json::Object device(const Settings& settings) {
  auto object = json::make_object();
  object->set("serial", settings.serial);
  object->set("model", settings.model);
  object->set("site", settings.site);
  object->set("hostname", settings.hostname);
  return object;
}

json::Array servers(const Settings& settings) {
  auto array = json::make_array();
  for (const Server& server : settings.servers) {
    auto ports = json::make_array();
    for (const auto port : server.ports) ports->add(static_cast<int>(port));
    if (server.ports.empty()) ports->add(static_cast<int>(settings.authentication_port));
    auto object = json::make_object();
    object->set("role", server.primary ? "primary" : "backup");
    object->set("domain", server.domain);
    object->set("ports", ports);
    const auto& [ip_version, vpn_instance, source_ip] = server.binding;
    object->set("ip_version", ip_version == IpVersion::Any ? "any" : ip_version == IpVersion::V4 ? "4" : "6");
    object->set("vpn_instance", vpn_instance);
    object->set("source_ip", source_ip);
    array->add(object);
  }
  return array;
}

json::Object one(const std::string& name, const Poco::Dynamic::Var& value) {
  auto object = json::make_object();
  object->set(name, value);
  return object;
}

json::Object dhcp(const Dhcp& settings) {
  auto object = one("enabled", settings.enabled);
  object->set("domain_option", settings.domain_option);
  object->set("password_option", settings.password_option);
  object->set("interfaces", texts(settings.interfaces));
  return object;
}

// Without the credentials.
json::Object proxy(const Proxy& settings) {
  auto object = one("host", settings.host);
  object->set("port", static_cast<int>(settings.port));
  object->set("has_credentials", !settings.user.empty());
  object->set("no_proxy", texts(settings.no_proxy));
  return object;
}

json::Object cloud(const Settings& settings) {
  auto keepalive = one("interval", static_cast<Poco::Int64>(settings.keepalive_interval.count()));
  keepalive->set("count", settings.keepalive_count);
  auto object = json::make_object();
  object->set("kind", name_of(settings.kind));
  object->set("allow_incompatible", settings.allow_incompatible);
  object->set("remember_server", settings.remember_server);
  object->set("password", settings.password.empty() ? "not set" : "set");
  object->set("dhcp", dhcp(settings.dhcp));
  if (!settings.proxy.host.empty()) object->set("proxy", proxy(settings.proxy));
  object->set("authentication_port", static_cast<int>(settings.authentication_port));
  object->set("server", servers(settings));
  object->set("keepalive", keepalive);
  object->set("ping", one("interval", static_cast<Poco::Int64>(settings.ping_interval.count())));
  object->set("tls", one("ca_file", settings.ca_file));
  return object;
}

json::Object plugin(const PluginSettings& settings) {
  auto actions = json::make_object();
  for (const auto& [name, action] : settings.actions) {
    auto object = one("command", texts(action.command));
    const auto limit = std::chrono::duration_cast<std::chrono::seconds>(action.time_limit);
    object->set("time_limit", static_cast<Poco::Int64>(limit.count()));
    actions->set(name, object);
  }
  auto object = one("file", settings.file.string());
  object->set("config", settings.config);
  object->set("actions", actions);
  if (settings.permissions) {
    auto permissions = json::make_array();
    for (const auto& permission : *settings.permissions) permissions->add(permission.text());
    object->set("permissions", permissions);
  }
  auto limits = json::make_object();
  for (const LimitRow& row : kLimitRows) {
    if (const auto& value = settings.limits.*row.member)
      limits->set(std::string(row.name), static_cast<Poco::Int64>(*value));
  }
  object->set("limits", limits);
  auto spool = one("bytes", static_cast<Poco::Int64>(settings.spool.bytes));
  spool->set("mode", settings.spool.mode == SpoolMode::Safe ? "safe" : "relaxed");
  object->set("spool", spool);
  return object;
}

}  // namespace

json::Object to_json(const Settings& settings) {
  auto object = json::make_object();
  object->set("device", device(settings));
  object->set("cloud", cloud(settings));
  auto plugins = one("enabled", texts(settings.enabled));
  plugins->set("disabled", texts(settings.disabled));
  plugins->set("from_cloud", settings.from_cloud);
  plugins->set("development_mode", settings.development_mode);
  plugins->set("probation_s", static_cast<Poco::Int64>(settings.probation.count()));
  plugins->set("first_uid", static_cast<Poco::Int64>(settings.first_uid));
  object->set("plugins", plugins);
  auto each = json::make_object();
  for (const auto& [id, one_plugin] : settings.plugins) each->set(id, plugin(one_plugin));
  object->set("plugins.d", each);
  object->set("log", one("level", settings.log_level));
  return object;
}

}  // namespace hawser::config
