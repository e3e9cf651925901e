#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/base/json.hpp"
#include "core/base/result.hpp"

// Everything that an operator can set, checked: a value of these types is valid. Immutable once loaded; share freely.
namespace hawser::config {

using namespace std::chrono_literals;

struct Server {
  std::string domain;  // as written; compared case-insensitively
  bool primary = true;
  std::vector<std::uint16_t> ports;  // at most three, descending; empty: the authentication port
};

struct Action {
  std::vector<std::string> command;            // the argument list; [0] is an absolute path
  std::chrono::milliseconds time_limit = 30s;  // 1 s to 1 h
};

// plugins.d/<id>.toml
struct PluginSettings {
  std::string id;
  json::Object config = json::make_object();  // [config], handed to the plugin as it is
  std::map<std::string, Action> actions;      // [actions.<name>]
  std::filesystem::path file;                 // where it stands; empty when there is none
};

struct Settings {
  // [device]
  std::string serial, model, site, hostname;
  // [cloud]
  std::uint16_t authentication_port = 19443;
  std::vector<Server> servers;                     // in stored order, names then ports; the first is used
  std::chrono::seconds keepalive_interval = 180s;  // 10 s to 600 s
  int keepalive_count = 3;                         // 1 to 60
  std::chrono::seconds ping_interval = 60s;        // 5 s to 600 s
  std::string ca_file;                             // empty: the system's
  // [plugins]
  std::vector<std::string> enabled;
  std::map<std::string, PluginSettings> plugins;  // by id; one for each enabled id at least
  // [log]
  std::string log_level = "info";
};

}  // namespace hawser::config
