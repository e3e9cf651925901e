#include "core/config/schema.hpp"

#include <algorithm>
#include <functional>
#include <map>

#include "core/base/encoding.hpp"
#include "core/config/cloud_rules.hpp"
#include "core/config/forms.hpp"
#include "core/config/hardware.hpp"
#include "core/config/trust.hpp"

namespace hawser::config {
namespace {

using Kind = Node::Kind;

Rule server(Draft& draft) {
  return [&draft](const Node& value, const std::string& key, Faults& faults) {
    Draft::ServerDraft made;
    made.place = value.place;
    std::string role = "primary";
    std::vector<std::int64_t> ports;
    walk(value, key,
         {{"role", choice(role, {"primary", "backup"})},
          {"domain", text(made.server.domain, check_domain)},
          {"ports", integers(ports, kPortsMax, 1, 65535)},
          {"ip_version", ip_version(made.server.binding.ip_version)},
          {"vpn_instance", text(made.server.binding.vpn_instance, check_vpn_instance)},
          {"source_ip", text(made.server.binding.source_ip, check_source_ip)}},
         faults);
    check_binding(made.server.binding, value, key, faults);
    if (!value.find("domain"))
      faults.add(value.place, key + ".domain", "is missing; write the cloud's domain name, domain = \"cloud.example\"");
    made.server.primary = role == "primary";
    const Node* list = value.find("ports");
    for (std::size_t i = 0; i < ports.size(); ++i) {
      made.server.ports.push_back(static_cast<std::uint16_t>(ports[i]));
      made.ports.push_back(list->items.size() == ports.size() ? list->items[i].place : list->place);
    }
    draft.servers.push_back(std::move(made));
  };
}

Rule ca_file(std::string& into) {
  const Rule path = text(into, [](const std::string& t) { return t.empty() ? "" : check_absolute_path(t); });
  return [path](const Node& value, const std::string& key, Faults& faults) {
    const std::size_t before = faults.count();
    path(value, key, faults);
    if (faults.count() != before || value.text.empty()) return;
    if (const auto problem = check_ca_file(value.text); !problem.empty()) faults.add(value.place, key, problem);
  };
}

// What the hooks of the DHCP clients hand over (packaging/dhcp): the codes that RFC 3942 leaves to a site.
constexpr std::int64_t kSiteOptionFirst = 224;

// Standard options that somebody may take by mistake; the IANA's list of BOOTP and DHCP options has all.
constexpr std::pair<int, const char*> kStandardOptions[] = {{1, "subnet mask"},
                                                            {3, "router"},
                                                            {6, "domain server"},
                                                            {12, "host name"},
                                                            {15, "domain name"},
                                                            {42, "NTP servers"},
                                                            {43, "vendor specific"},
                                                            {51, "address time"},
                                                            {54, "DHCP server id"},
                                                            {60, "class id"},
                                                            {61, "client id"},
                                                            {66, "server name"},
                                                            {67, "bootfile name"},
                                                            {81, "client FQDN"},
                                                            {119, "domain search"},
                                                            {120, "SIP servers"},
                                                            {121, "classless route"},
                                                            {124, "V-I vendor"},
                                                            {125, "V-I vendor specific"},
                                                            {150, "TFTP server"}};

std::string standard_option(std::int64_t code) {
  for (const auto& [known, name] : kStandardOptions)
    if (known == code) return std::string(" (") + name + ")";
  return "";
}

Rule dhcp_option(int& into, int least) {
  const Rule number = integer(into, least, 254);
  return [number, &into](const Node& value, const std::string& key, Faults& faults) {
    const std::size_t before = faults.count();
    number(value, key, faults);
    if (faults.count() != before || into == 0 || into >= kSiteOptionFirst) return;
    faults.warn(value.place, key,
                "is " + std::to_string(into) + standard_option(into) +
                    ", an option with a standard meaning: the hooks of the DHCP clients hand over 224 to 254 only, so "
                    "nothing is taken from a lease; let the DHCP server use one of these, and name it here");
  };
}

Rule dhcp(Dhcp& to) {
  return [&to](const Node& value, const std::string& key, Faults& faults) {
    table({{"enabled", boolean(to.enabled)},
           {"domain_option", dhcp_option(to.domain_option, 1)},
           {"password_option", dhcp_option(to.password_option, 0)},
           {"interfaces", texts(to.interfaces, kInterfacesMax, check_interface)}})(value, key, faults);
    if (to.domain_option == to.password_option)
      faults.add(value.place, key,
                 "takes domain and password from one option, " + std::to_string(to.domain_option) +
                     "; give them two, or password_option = 0");
  };
}

Rule cloud_kind(Draft& draft) {
  return [&draft](const Node& value, const std::string& key, Faults& faults) {
    std::string kind;
    choice(kind, {"cloudnet", "cloudnet-international", "adwan", "generic"})(value, key, faults);
    draft.kind = value.place;
    if (const auto known = cloud_kind_of(kind)) draft.settings.kind = *known;
  };
}

// A text that no fault shows, with its place.
Rule placed_secret(Draft::Secret& into) {
  return [&into](const Node& value, const std::string& key, Faults& faults) {
    secret(into.text)(value, key, faults);
    into.place = value.place;
  };
}

Rule cloud(Draft& draft) {
  Settings& to = draft.settings;
  return table({{"kind", cloud_kind(draft)},
                {"allow_incompatible", boolean(to.allow_incompatible)},
                {"authentication_port", integer<std::uint16_t>(to.authentication_port, 1, 65535)},
                {"password_file", placed_secret(draft.password_file)},
                {"password_cipher", placed_secret(draft.password_cipher)},
                {"password", placed_secret(draft.password)},
                {"remember_server", boolean(to.remember_server)},
                {"server", tables(server(draft))},
                {"keepalive", table({{"interval", duration(to.keepalive_interval, 10s, 600s)},
                                     {"count", integer(to.keepalive_count, 1, 60)}})},
                {"ping", table({{"interval", duration(to.ping_interval, 5s, 600s)}})},
                {"tls", table({{"ca_file", ca_file(to.ca_file)}})},
                {"proxy", table({{"url", placed_secret(draft.proxy_url)},
                                 {"no_proxy", texts(to.proxy.no_proxy, kNoProxyMax, check_no_proxy)}})},
                {"dhcp", dhcp(to.dhcp)}});
}

std::string ordinal(std::size_t number) {
  const std::string digits = std::to_string(number);
  const bool teen = number % 100 >= 11 && number % 100 <= 13;
  if (number % 10 == 1 && !teen) return digits + "st";
  if (number % 10 == 2 && !teen) return digits + "nd";
  return digits + (number % 10 == 3 && !teen ? "rd" : "th");
}

void check_roles(const Draft& draft, Faults& faults) {
  std::size_t primaries = 0, backups = 0;
  for (const auto& [server, place, ports] : draft.servers) {
    if (server.primary && ++primaries > 1)
      faults.add(place, "cloud.server.role",
                 "is a " + ordinal(primaries) + " primary, at most one is allowed; write role = \"backup\"");
    if (!server.primary && ++backups > kBackupsMax)
      faults.add(place, "cloud.server.role", "is a " + ordinal(backups) + " backup, at most 8 are allowed; remove it");
  }
}

// Names compare case-insensitively, and a name with another port is another server (conn-8, conn-9).
void check_names(const Draft& draft, Faults& faults) {
  std::map<std::string, std::map<std::uint16_t, Place>> seen;
  for (const Draft::ServerDraft& one : draft.servers) {
    const Server& server = one.server;
    if (server.domain.empty()) continue;
    auto& ports = seen[canonical_domain(server.domain)];
    const auto add = [&](std::uint16_t port, const Place& where) {
      const auto [earlier, fresh] = ports.emplace(port, where);
      if (!fresh)
        faults.add(where, "cloud.server",
                   server.domain + " with port " + std::to_string(port) + " stands already at line " +
                       std::to_string(earlier->second.line) + "; remove one");
      if (fresh && ports.size() == kPortsMax + 1 && server.ports.size() <= kPortsMax)
        faults.add(where, "cloud.server", server.domain + " has more than 3 ports, at most 3 are allowed; remove one");
    };
    for (std::size_t i = 0; i < server.ports.size(); ++i) add(server.ports[i], one.ports[i]);
    if (server.ports.empty()) add(draft.settings.authentication_port, one.place);
  }
}

std::uint16_t first_port(const Server& server, const Settings& settings) {
  return server.ports.empty() ? settings.authentication_port : server.ports[0];
}

// The guide's names for the clouds that have one.
std::string usual_domain(CloudKind kind) {
  if (kind == CloudKind::Cloudnet) return " (oasis.h3c.com for this kind)";
  return kind == CloudKind::CloudnetInternational ? " (oasiscloud.h3c.com for this kind)" : "";
}

// Domain names alphabetically, ports descending (the guide; conn-9).
void put_in_stored_order(Settings& settings) {
  for (Server& server : settings.servers) std::sort(server.ports.begin(), server.ports.end(), std::greater<>());
  std::stable_sort(settings.servers.begin(), settings.servers.end(), [&](const Server& a, const Server& b) {
    const auto a_name = canonical_domain(a.domain), b_name = canonical_domain(b.domain);
    return a_name != b_name ? a_name < b_name : first_port(a, settings) > first_port(b, settings);
  });
}

}  // namespace

Fields schema(Draft& draft) {
  Settings& to = draft.settings;
  const auto hostname = [](const std::string& name) { return check_domain(name); };
  return {{"device", table({{"serial", text(to.serial, check_serial)},
                            {"model", text(to.model, check_model)},
                            {"site", text(to.site, check_site)},
                            {"hostname", text(to.hostname, hostname)}})},
          {"cloud", cloud(draft)},
          {"plugins", table({{"enabled", texts(to.enabled, kPluginsMax, check_plugin_id)},
                             {"disabled", texts(to.disabled, kPluginsMax, check_plugin_id)},
                             {"from_cloud", boolean(to.from_cloud)},
                             {"development_mode", boolean(to.development_mode)},
                             {"probation", duration(to.probation, 1s, 86400s)},
                             {"first_uid", integer(to.first_uid, kFirstUidLeast, kFirstUidMost)}})},
          {"log", table({{"level", choice(to.log_level, {"trace", "debug", "info", "warn", "error"})}})}};
}

void check_servers(Draft& draft, const Node& root, Faults& faults) {
  check_roles(draft, faults);
  check_names(draft, faults);
  const Node* cloud = root.find("cloud");
  const Node* list = cloud ? cloud->find("server") : nullptr;
  if (!draft.servers.empty()) {
    for (const auto& made : draft.servers) draft.settings.servers.push_back(made.server);
    return put_in_stored_order(draft.settings);
  }
  if (draft.settings.dhcp.enabled) return;                                  // a lease will name the cloud
  if (list && (list->kind != Kind::Array || !list->items.empty())) return;  // there, though nothing that can be used
  faults.add(cloud ? cloud->place : root.place, "cloud.server",
             "is missing; add a [[cloud.server]] with domain = \"...\"" + usual_domain(draft.settings.kind) +
                 ", or let DHCP name the cloud: cloud.dhcp.enabled = true");
}

}  // namespace hawser::config
