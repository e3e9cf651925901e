#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/json.hpp"
#include "core/base/network.hpp"
#include "core/base/result.hpp"
#include "core/config/permission.hpp"
#include "core/config/plugin_limits.hpp"

// Everything that an operator can set, checked: a value of these types is valid. Immutable once loaded; share freely.
namespace hawser::config {

using namespace std::chrono_literals;

inline constexpr std::int64_t kPluginUids = 1000;
inline constexpr std::int64_t kFirstUidUsual = 1'879'048'192;  // of a range that systemd leaves unused (UIDS-GIDS.md)

inline constexpr std::chrono::seconds kProbationUsual = 10min;

struct Server {
  std::string domain;  // as written; compared case-insensitively
  bool primary = true;
  std::vector<std::uint16_t> ports;  // at most three, descending; empty: the authentication port
  Binding binding{};
};

enum class CloudKind { Generic, Cloudnet, CloudnetInternational, Adwan };

// The cloud's name from a DHCP lease (conn-11, conn-12).
struct Dhcp {
  bool enabled = true;
  int domain_option = 253;              // 1 to 254
  int password_option = 0;              // 0: a password is never taken from DHCP
  std::vector<std::string> interfaces;  // empty: every one
};

// Where the environment names a proxy and who is dialled without it, for a device without cloud.proxy.url. The first that
// is set counts, in curl's order.
inline constexpr std::array kProxyVariables = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
inline constexpr std::array kNoProxyVariables = {"no_proxy", "NO_PROXY"};

struct Action {
  std::vector<std::string> command;            // the argument list; [0] is an absolute path
  std::chrono::milliseconds time_limit = 30s;  // 1 s to 1 h
  std::vector<std::string> environment{};      // NAME=value, besides PATH and LANG; no operator's setting
};

// How a plugin's durable messages stand on disk (data-1): safe: each one synced before it counts as accepted; relaxed:
// once a second.
enum class SpoolMode { Safe, Relaxed };
struct SpoolSettings {
  std::int64_t bytes = 64 * kMiB;  // of one subconnection; 1 MiB to 1 TiB
  SpoolMode mode = SpoolMode::Safe;
  bool operator==(const SpoolSettings&) const = default;
};

// plugins.d/<id>.toml
struct PluginSettings {
  std::string id;
  json::Object config = json::make_object();  // [config], handed to the plugin as it is
  std::map<std::string, Action> actions;      // [actions.<name>]
  // `permissions`: no more than these of what the manifest asks for; absent: all that it asks for.
  std::optional<std::vector<Permission>> permissions;
  PluginLimits limits;         // [limits]
  SpoolSettings spool;         // [spool]
  std::filesystem::path file;  // where it stands; empty when there is none
};

// What an operator reads while it is on.
inline constexpr const char* kDevelopmentModeWords =
    "plugins that nobody signed are loaded, too; plugins.development_mode = false ends it";

struct Settings {
  // [device]
  std::string serial, model, site, hostname;
  // [cloud]
  CloudKind kind = CloudKind::Generic;
  bool allow_incompatible = false;  // go on where the hardware tables say no (conn-17)
  std::uint16_t authentication_port = 19443;
  std::vector<Server> servers;  // in stored order, names then ports; may be empty where DHCP is enabled
  bool remember_server = true;  // start again with the server last connected
  std::string password;         // in the clear, of whichever key held it; empty: none. Never shown, never logged
  Dhcp dhcp;
  Proxy proxy;                                     // of [cloud.proxy], else of the environment
  std::chrono::seconds keepalive_interval = 180s;  // 10 s to 600 s
  int keepalive_count = 3;                         // 1 to 60
  std::chrono::seconds ping_interval = 60s;        // 5 s to 600 s
  std::string ca_file;                             // empty: the system's
  // [plugins]
  std::vector<std::string> enabled;
  std::vector<std::string> disabled;                 // never run, whoever enables them
  bool from_cloud = false;                           // the cloud may enable, configure and install, not only disable
  bool development_mode = false;                     // plugins that nobody signed are loaded, too (sdk-9)
  std::chrono::seconds probation = kProbationUsual;  // of a newer version, before the old one is given up; 1 s to 1 day
  std::int64_t first_uid = kFirstUidUsual;           // the first of kPluginUids, one for each plugin; only as root
  std::map<std::string, PluginSettings> plugins;     // by id; one for each enabled id at least
  // [log]
  std::string log_level = "info";
};

}  // namespace hawser::config
