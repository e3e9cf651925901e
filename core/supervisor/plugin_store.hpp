#pragma once

#include <atomic>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/base/files.hpp"
#include "core/base/result.hpp"
#include "core/trust/manifest.hpp"
#include "core/trust/trust_store.hpp"

namespace hawser::supervisor {

// One version of one plugin on disk, usually the wanted one (core/trust/versions.hpp):
// <plugin dir>/<id>/<version>/{plugin.so, manifest.json, manifest.json.minisig}.
struct FoundPlugin {
  std::string id;                 // the folder's name
  std::string version;            // the folder's name; empty when there is none
  std::filesystem::path library;  // plugin.so
  std::string digest;             // "sha256:<hex>" of the library; empty when refused
  std::optional<trust::Manifest> manifest;
  std::string signed_by;  // the id of the key; empty: by nobody who is trusted, in development mode
  Descriptor verified;    // plugin.so as its digest was checked, held open for every start; none in development mode
  std::optional<Error> refusal;  // one sentence that names the rule; then the plugin is not to be started
};

// Whose plugins are loaded (sdk-9).
struct TrustRules {
  std::filesystem::path store;                // trust.d; looked at anew each time
  bool development_mode = false;              // those that nobody signed, too
  trust::Time now;                            // keys end
  const std::atomic<bool>* ending = nullptr;  // true: reading is given up
};

// Looks for the wanted plugins, each once. Sorted by id. A wanted id without a folder is there with its refusal; of two
// that claim one service, the later id is refused. Blocks on the disk; never throws.
std::vector<FoundPlugin> find_plugins(const std::filesystem::path& plugin_dir, const std::vector<std::string>& wanted,
                                      const TrustRules& rules);

// This version of it.
FoundPlugin find_version(const std::filesystem::path& plugin_dir, const std::string& id, const std::string& version,
                         const TrustRules& rules);

// "sha256:<hex>" of a file of any size.
Result<std::string> digest_of(const std::filesystem::path& file, const std::atomic<bool>* ending = nullptr);

}  // namespace hawser::supervisor
