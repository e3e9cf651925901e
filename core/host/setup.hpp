#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/base/json.hpp"

namespace hawser::host {

// The core's first message: which plugin this process runs, and on what device. Immutable.
struct Setup {
  std::string plugin, version, digest;
  std::filesystem::path library, state_dir;
  std::string config;  // one JSON object, as text
  std::string serial, hostname, site, ca_file;
  std::chrono::system_clock::time_point validity_floor{};
  std::set<std::string> actions;
  std::map<std::string, std::vector<std::string>> services;  // name: protocols
};

Result<Setup> read_setup(const json::Object& message);

}  // namespace hawser::host
