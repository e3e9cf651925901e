#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "core/config/toml_reader.hpp"

// Changes to a list of servers as it stands in a file, [[cloud.server]], one command at a time. What the change breaks
// otherwise is told when the whole configuration is checked. Any thread.
namespace hawser::config {

class ServerList {
 public:
  // What a command names of a server; an empty text was not named. Checked already but for the list's own rules.
  struct Entry {
    std::string domain;
    std::vector<std::int64_t> ports;
    std::string vpn_instance, source_ip;
    std::optional<Node> ip_version;
  };

  // `list`: the array, or nothing where there is none. `authentication_port`: of a server that names no port.
  ServerList(const Node* list, std::int64_t authentication_port);

  // As the guide has it: the primary's name again adds a port, another name replaces the primary.
  Status set_primary(const Entry& entry);
  // `domain`: only when the primary has this name; empty: whichever it is.
  Status remove_primary(const std::string& domain = "");
  Status add_backup(const Entry& entry);
  // One port, or the whole server; a server without ports is gone too.
  Status remove_backup(const std::string& domain, std::optional<std::int64_t> port);

  const Node& node() const { return list_; }

 private:
  Status extend(Node& server, const Entry& entry) const;
  std::vector<std::int64_t> ports_of(const Node& server) const;

  Node list_;
  const std::int64_t authentication_port_;
};

Node text_node(const std::string& text);
Node integer_node(std::int64_t number);

}  // namespace hawser::config
