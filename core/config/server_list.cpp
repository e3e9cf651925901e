#include "core/config/server_list.hpp"

#include <algorithm>
#include <functional>

#include "core/base/encoding.hpp"
#include "core/config/forms.hpp"
#include "core/config/schema.hpp"

namespace hawser::config {
namespace {

std::string text_of(const Node& server, std::string_view name) {
  const Node* found = server.find(name);
  return found && found->kind == Node::Kind::Text ? found->text : "";
}

bool is_primary(const Node& server) { return text_of(server, "role") != "backup"; }

bool has_name(const Node& server, const std::string& domain) {
  return canonical_domain(text_of(server, "domain")) == canonical_domain(domain);
}

void put(Node& server, const std::string& name, Node value) {
  for (Member& member : server.members) {
    if (member.name == name) {
      member.node = std::move(value);
      return;
    }
  }
  server.members.push_back({name, {}, std::move(value)});
}

void put_ports(Node& server, std::vector<std::int64_t> ports) {
  std::sort(ports.begin(), ports.end(), std::greater<>());
  Node list;
  list.kind = Node::Kind::Array;
  for (const auto port : ports) list.items.push_back(integer_node(port));
  put(server, "ports", std::move(list));
}

void put_binding(Node& server, const ServerList::Entry& entry) {
  if (!entry.vpn_instance.empty()) put(server, "vpn_instance", text_node(entry.vpn_instance));
  if (!entry.source_ip.empty()) put(server, "source_ip", text_node(entry.source_ip));
  if (entry.ip_version) put(server, "ip_version", *entry.ip_version);
}

Node new_server(const std::string& role, const ServerList::Entry& entry) {
  Node server;
  put(server, "role", text_node(role));
  put(server, "domain", text_node(entry.domain));
  return server;
}

Error too_many_ports(const std::string& domain, std::size_t count) {
  return {"bad_config", printable(domain) + " would have " + std::to_string(count) + " ports, at most " +
                            std::to_string(kPortsMax) + " are allowed; remove one first"};
}

}  // namespace

Node text_node(const std::string& text) {
  Node node;
  node.kind = Node::Kind::Text;
  node.text = text;
  return node;
}

Node integer_node(std::int64_t number) {
  Node node;
  node.kind = Node::Kind::Integer;
  node.integer = number;
  return node;
}

ServerList::ServerList(const Node* list, std::int64_t authentication_port) : authentication_port_(authentication_port) {
  if (list && list->kind == Node::Kind::Array) list_.items = list->items;
  list_.kind = Node::Kind::Array;
}

std::vector<std::int64_t> ServerList::ports_of(const Node& server) const {
  std::vector<std::int64_t> ports;
  const Node* list = server.find("ports");
  for (std::size_t i = 0; list && i < list->items.size(); ++i) ports.push_back(list->items[i].integer);
  return ports.empty() ? std::vector{authentication_port_} : ports;
}

// Ports are added to those that it has, the authentication port among them where it named none.
Status ServerList::extend(Node& server, const Entry& entry) const {
  auto ports = ports_of(server);
  const std::size_t before = ports.size();
  for (const auto port : entry.ports) {
    if (std::find(ports.begin(), ports.end(), port) == ports.end()) ports.push_back(port);
  }
  if (ports.size() > kPortsMax) return too_many_ports(entry.domain, ports.size());
  if (ports.size() > before) put_ports(server, ports);
  put_binding(server, entry);
  return ok();
}

Status ServerList::set_primary(const Entry& entry) {
  for (Node& server : list_.items) {
    if (is_primary(server) && has_name(server, entry.domain)) return extend(server, entry);
  }
  if (entry.ports.size() > kPortsMax) return too_many_ports(entry.domain, entry.ports.size());
  Node server = new_server("primary", entry);
  if (!entry.ports.empty()) put_ports(server, entry.ports);
  put_binding(server, entry);
  std::erase_if(list_.items, is_primary);
  list_.items.insert(list_.items.begin(), std::move(server));
  return ok();
}

Status ServerList::remove_primary(const std::string& domain) {
  for (const Node& server : list_.items) {
    if (!domain.empty() && is_primary(server) && !has_name(server, domain))
      return Error{"not_found", "\"" + printable(domain) + "\" is not the primary server, which is \"" +
                                    printable(text_of(server, "domain")) + "\"; nothing was changed"};
  }
  if (std::erase_if(list_.items, is_primary) == 0) return Error{"not_found", "no primary server is set"};
  return ok();
}

Status ServerList::add_backup(const Entry& entry) {
  for (Node& server : list_.items) {
    if (!is_primary(server) && has_name(server, entry.domain)) return extend(server, entry);
  }
  if (entry.ports.size() > kPortsMax) return too_many_ports(entry.domain, entry.ports.size());
  const auto backups =
      list_.items.size() - static_cast<std::size_t>(std::count_if(list_.items.begin(), list_.items.end(), is_primary));
  if (backups >= kBackupsMax)
    return Error{"bad_config", printable(entry.domain) + " would be backup number " + std::to_string(backups + 1) +
                                   ", at most " + std::to_string(kBackupsMax) + " are allowed; remove one first"};
  Node server = new_server("backup", entry);
  if (!entry.ports.empty()) put_ports(server, entry.ports);
  put_binding(server, entry);
  list_.items.push_back(std::move(server));
  return ok();
}

Status ServerList::remove_backup(const std::string& domain, std::optional<std::int64_t> port) {
  const auto is_it = [&](const Node& server) { return !is_primary(server) && has_name(server, domain); };
  if (std::none_of(list_.items.begin(), list_.items.end(), is_it))
    return Error{"not_found", "\"" + printable(domain) + "\" is no backup server; hawserctl backup-server list"};
  if (!port) {
    std::erase_if(list_.items, is_it);
    return ok();
  }
  // The same name may stand twice, with other ports.
  for (auto server = list_.items.begin(); server != list_.items.end(); ++server) {
    auto ports = ports_of(*server);
    if (!is_it(*server) || std::erase(ports, *port) == 0) continue;
    if (ports.empty()) {
      list_.items.erase(server);
    } else {
      put_ports(*server, ports);
    }
    return ok();
  }
  return Error{"not_found", printable(domain) + " has no port " + std::to_string(*port)};
}

}  // namespace hawser::config
