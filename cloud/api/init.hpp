#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/result.hpp"

namespace hawser::cloud {

struct InitOptions {
  std::filesystem::path folder;
  std::vector<std::string> names;  // empty: localhost, 127.0.0.1 and this host's name
  int authentication_port = 19443;
  int connection_port = 443;
  std::string listen = "0.0.0.0";
  std::string group;                  // of the service that may read the server's key; empty: its owner alone
  std::string database = "cloud.db";  // as written into cloud.toml: relative to the folder, or absolute
};

// Makes a CA, a server certificate for `names`, and cloud.toml in `folder`: keys 0600, folder 0700 (0640 and 0750 where
// a group is named; a folder that was there keeps its mode). Refused where
// anything of it is there already.
Status init_cloud(const InitOptions& options);

}  // namespace hawser::cloud
