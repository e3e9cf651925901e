#pragma once

#include "core/config/rules.hpp"
#include "core/config/settings.hpp"

namespace hawser::config {

inline constexpr std::size_t kPortsMax = 3;    // of one domain name (the guide)
inline constexpr std::size_t kBackupsMax = 8;  // beside one primary (the guide)
inline constexpr std::size_t kInterfacesMax = 64;
inline constexpr std::size_t kNoProxyMax = 64;
inline constexpr std::size_t kPluginsMax = 64;  // services in a registration, sdk/protocol.md §3

// Below are the system's own users; 2^32-1 means nobody at all.
inline constexpr std::int64_t kFirstUidLeast = 1000, kFirstUidMost = 4'294'967'294 - kPluginUids;

// What the keys of hawser.toml say, one by one, before the rules between them.
struct Draft {
  struct ServerDraft {
    Server server;
    Place place;  // of the table
    std::vector<Place> ports;
  };
  Settings settings;  // without servers, password, proxy and plugins
  std::vector<ServerDraft> servers;
  // A key with its place; no file where it is not written.
  struct Secret {
    std::string text;
    Place place;
  };
  Secret password, password_file, password_cipher, proxy_url;
  Place kind;
};

// Every key of hawser.toml, conf.d and sites. The rules write to `draft`, which must outlive them.
Fields schema(Draft& draft);

// At most one primary, eight backups, three ports a name, no name and port twice; fills draft.settings.servers.
// `root`: the merged tree.
void check_servers(Draft& draft, const Node& root, Faults& faults);

}  // namespace hawser::config
