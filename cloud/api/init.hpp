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
};

// Makes a CA, a server certificate for `names`, and cloud.toml in `folder`: keys 0600, folder 0700. Refused where
// anything of it is there already.
Status init_cloud(const InitOptions& options);

}  // namespace hawser::cloud
