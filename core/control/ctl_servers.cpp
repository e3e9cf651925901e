#include "core/control/ctl_servers.hpp"

#include <algorithm>
#include <charconv>

#include "core/base/encoding.hpp"
#include "core/config/cloud_rules.hpp"
#include "core/config/forms.hpp"
#include "core/config/local_file.hpp"
#include "core/config/password.hpp"
#include "core/config/server_list.hpp"

namespace hawser::control {
namespace {

using config::LocalFile;
using config::Node;
using config::ServerList;

constexpr std::int64_t kAuthenticationPort = 19443;
constexpr const char* kServers = "cloud.server";
constexpr const char* kCipher = "cloud.password_cipher";

std::optional<std::int64_t> number_of(const std::string& text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

// What was typed as the file would hold it; the rules of the configuration judge it.
Node typed(const std::string& text) {
  const auto number = number_of(text);
  return number ? config::integer_node(*number) : config::text_node(text);
}

Result<std::int64_t> port_of(const std::string& text) {
  const auto number = number_of(text);
  if (number && *number >= 1 && *number <= 65535) return *number;
  return Error{"bad_request", "the port is \"" + printable(text, 32) + "\", must be a whole number from 1 to 65535"};
}

Status check_text(const char* what, const std::string& text, const std::string& wanted) {
  if (wanted.empty()) return ok();
  return Error{"bad_request", std::string(what) + " is \"" + printable(text) + "\", must be " + wanted};
}

// What cannot be used now is refused here, where somebody sits who can mend it.
Status check_present(const ServerSpec& server) {
  if (auto good = check_text("the VPN instance", server.vpn_instance, config::check_vpn_instance(server.vpn_instance));
      !good)
    return good;
  if (const auto gone = config::missing_vpn_instance(server.vpn_instance); !gone.empty())
    return Error{"bad_request", "the VPN instance " + gone};
  if (auto good = check_text("the source address", server.source_ip, config::check_source_ip(server.source_ip)); !good)
    return good;
  if (server.source_ip.empty() || !server.vpn_instance.empty()) return ok();
  const auto gone = config::missing_source_ip(server.source_ip);
  return gone.empty() ? ok() : Status(Error{"bad_request", "the source address " + gone});
}

Result<ServerList::Entry> entry_of(const ServerSpec& server) {
  if (auto good = check_text("the domain name", server.domain, config::check_domain(server.domain)); !good)
    return good.error();
  ServerList::Entry entry{server.domain, {}, server.vpn_instance, server.source_ip, {}};
  for (const auto& text : server.ports) {
    const auto port = port_of(text);
    if (!port) return port.error();
    if (std::find(entry.ports.begin(), entry.ports.end(), *port) != entry.ports.end())
      return Error{"bad_request", "the port " + text + " is named twice"};
    entry.ports.push_back(*port);
  }
  if (const auto present = check_present(server); !present) return present.error();
  const auto& version = server.ip_version;
  if (!version.empty() && version != "4" && version != "6" && version != "any")
    return Error{"bad_request", "the IP version is \"" + printable(version, 32) + "\", must be 4, 6 or any"};
  if (!version.empty()) entry.ip_version = typed(version);
  return entry;
}

CtlOutcome change_servers(const CtlOptions& options, const std::function<Status(ServerList&)>& edit) {
  return change_local_file(options, [&](LocalFile& file) -> Status {
    const Node* port = file.find("cloud.authentication_port");
    ServerList list(file.find(kServers),
                    port && port->kind == Node::Kind::Integer ? port->integer : kAuthenticationPort);
    if (auto edited = edit(list); !edited) return edited;
    file.set(kServers, list.node());
    return ok();
  });
}

// Without a value: the default, spelt out only where an operator's file says something else.
CtlOutcome change_key(const CtlOptions& options, const std::string& key, const std::optional<std::string>& value,
                      const Node& fallback) {
  return change_local_file(options, [&](LocalFile& file) -> Status {
    if (value) {
      file.set(key, typed(*value));
      return ok();
    }
    file.remove(key);
    if (file.find(key)) file.set(key, fallback);
    return ok();
  });
}

json::Object server_json(const config::Server& server, const config::Settings& settings) {
  auto ports = json::make_array();
  for (const auto port : server.ports) ports->add(static_cast<int>(port));
  if (server.ports.empty()) ports->add(static_cast<int>(settings.authentication_port));
  auto object = json::make_object();
  object->set("domain", server.domain);
  object->set("ports", ports);
  object->set("vpn_instance", server.binding.vpn_instance);
  object->set("source_ip", server.binding.source_ip);
  return object;
}

std::string server_text(const config::Server& server, const config::Settings& settings) {
  std::string ports;
  for (const auto port : server.ports) ports += " " + std::to_string(port);
  if (ports.empty()) ports = " " + std::to_string(settings.authentication_port);
  std::string text = server.domain + " port" + ports;
  if (!server.binding.vpn_instance.empty()) text += " vpn-instance " + server.binding.vpn_instance;
  if (!server.binding.source_ip.empty()) text += " source-ip " + server.binding.source_ip;
  return printable(text, kMessageBytesMax) + "\n";
}

// A password that stands in the operator's own file is for the operator to remove.
Status forget_password(LocalFile& file) {
  for (const char* key : {"cloud.password", "cloud.password_file", kCipher}) {
    file.remove(key);
    if (const Node* left = file.find(key); left && left->kind == Node::Kind::Text && !left->text.empty())
      return Error{"bad_request", std::string(key) + " stands in " + *left->place.file + ":" +
                                      std::to_string(left->place.line) +
                                      ", which hawserctl leaves alone; remove it there"};
  }
  return ok();
}

}  // namespace

CtlOutcome set_server(const CtlOptions& options, const ServerSpec& server) {
  const auto entry = entry_of(server);
  if (!entry) return failed(options, entry.error());
  return change_servers(options, [&](ServerList& list) { return list.set_primary(*entry); });
}

CtlOutcome unset_server(const CtlOptions& options, const std::string& domain) {
  return change_servers(options, [&](ServerList& list) { return list.remove_primary(domain); });
}

CtlOutcome add_backup_server(const CtlOptions& options, const ServerSpec& server) {
  const auto entry = entry_of(server);
  if (!entry) return failed(options, entry.error());
  return change_servers(options, [&](ServerList& list) { return list.add_backup(*entry); });
}

CtlOutcome remove_backup_server(const CtlOptions& options, const std::string& domain,
                                const std::optional<std::string>& port) {
  std::optional<std::int64_t> number;
  if (port) {
    const auto good = port_of(*port);
    if (!good) return failed(options, good.error());
    number = *good;
  }
  return change_servers(options, [&](ServerList& list) { return list.remove_backup(domain, number); });
}

CtlOutcome list_backup_servers(const CtlOptions& options) {
  const auto loaded = config::load(options.config_dir, device_sources(options));
  if (!loaded.settings) return failed(options, {"bad_config", loaded.faults.front()});
  auto list = json::make_array();
  std::string text;
  for (const auto& server : loaded.settings->servers) {
    if (server.primary) continue;
    list->add(server_json(server, *loaded.settings));
    text += server_text(server, *loaded.settings);
  }
  auto answer = json::make_object();
  answer->set("backup_servers", list);
  return done(options, answer, text.empty() ? "No backup server is set.\n" : text);
}

CtlOutcome set_authentication_port(const CtlOptions& options, const std::optional<std::string>& port) {
  return change_key(options, "cloud.authentication_port", port, config::integer_node(kAuthenticationPort));
}

CtlOutcome set_keepalive_interval(const CtlOptions& options, const std::optional<std::string>& seconds) {
  return change_key(options, "cloud.keepalive.interval", seconds, config::integer_node(180));
}

CtlOutcome set_keepalive_count(const CtlOptions& options, const std::optional<std::string>& count) {
  return change_key(options, "cloud.keepalive.count", count, config::integer_node(3));
}

CtlOutcome set_ping_interval(const CtlOptions& options, const std::optional<std::string>& seconds) {
  return change_key(options, "cloud.ping.interval", seconds, config::integer_node(60));
}

// Sealed while the file is locked: two at once would each make a key, and one password could never be opened.
CtlOutcome set_password(const CtlOptions& options, const std::optional<std::string>& password) {
  if (!password) return change_local_file(options, forget_password);
  return change_local_file(options, [&](LocalFile& file) -> Status {
    if (auto gone = forget_password(file); !gone) return gone;
    const auto sealed = config::seal_password(*password, options.state_dir);
    if (!sealed) return sealed.error();
    file.set(kCipher, config::text_node(*sealed));
    return ok();
  });
}

CtlOutcome set_password_cipher(const CtlOptions& options, const std::string& cipher) {
  return change_local_file(options, [&](LocalFile& file) -> Status {
    if (const auto opened = config::open_password(cipher, options.state_dir); !opened)
      return Error{"bad_request", "the password " + opened.error().message};
    if (auto gone = forget_password(file); !gone) return gone;
    file.set(kCipher, config::text_node(cipher));
    return ok();
  });
}

}  // namespace hawser::control
