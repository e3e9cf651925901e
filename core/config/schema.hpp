#pragma once

#include "core/config/rules.hpp"
#include "core/config/settings.hpp"

namespace hawser::config {

inline constexpr std::size_t kPortsMax = 3;     // of one domain name (the guide)
inline constexpr std::size_t kBackupsMax = 8;   // beside one primary (the guide)
inline constexpr std::size_t kPluginsMax = 64;  // services in a registration, sdk/protocol.md §3

// What the keys of hawser.toml say, one by one, before the rules between them.
struct Draft {
  struct ServerDraft {
    Server server;
    Place place;  // of the table
    std::vector<Place> ports;
  };
  Settings settings;  // without servers and plugins
  std::vector<ServerDraft> servers;
  Place dhcp;  // of cloud.dhcp.enabled = true, where it is written
  // Where values go whose meaning comes in a later version.
  std::string unused_text;
  bool unused_truth = false;
  std::vector<std::string> unused_texts;
  std::int64_t unused_number = 0;
};

// Every key of hawser.toml, conf.d and sites. The rules write to `draft`, which must outlive them.
Fields schema(Draft& draft);

// At most one primary, eight backups, three ports a name, no name and port twice; fills draft.settings.servers.
// `root`: the merged tree.
void check_servers(Draft& draft, const Node& root, Faults& faults);

}  // namespace hawser::config
