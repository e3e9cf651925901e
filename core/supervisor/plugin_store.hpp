#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "core/supervisor/manifest.hpp"

namespace hawser::supervisor {

// The newest version of one plugin on disk: <plugin dir>/<id>/<version>/{plugin.so, manifest.json}.
struct FoundPlugin {
  std::string id;                 // the folder's name
  std::string version;            // the folder's name; empty when there is none
  std::filesystem::path library;  // plugin.so
  std::string digest;             // "sha256:<hex>" of the library; empty when refused
  std::optional<Manifest> manifest;
  std::optional<Error> refusal;  // one sentence that names the rule; then the plugin is not to be started
};

// Looks for the wanted plugins, each once. Sorted by id. A wanted id without a folder is there with its refusal; of two
// that claim one service, the later id is refused. Blocks on the disk; never throws.
std::vector<FoundPlugin> find_plugins(const std::filesystem::path& plugin_dir, const std::vector<std::string>& wanted);

// "sha256:<hex>" of a file of any size.
Result<std::string> digest_of(const std::filesystem::path& file);

}  // namespace hawser::supervisor
