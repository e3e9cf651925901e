#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/trust/manifest.hpp"
#include "core/trust/trust_store.hpp"

// Plugins come and go in <plugin dir>/<id>/<version>/ by one rename each: a power cut at any point leaves what was there
// or what was to be there (under_way.hpp). Blocks on the disk; any thread.
namespace hawser::trust {

struct InstallRules {
  std::filesystem::path plugin_dir;
  const TrustStore& store;
  Time now;
  bool allow_older = false;       // than the one that is to run now
  bool development_mode = false;  // one that nobody signed, too
};

struct Installed {
  Manifest manifest;
  std::string key_id;  // empty: nobody signed it, in development mode
  std::filesystem::path folder;
  bool changed = true;  // false: it stood there already, whole
  std::string before;   // the version that was to run until now; empty: none
};

// Unpacks the bundle beside its place, verifies it there as the agent will, and makes its version the one that is to run.
// Errors are one sentence, of unpack_bundle() and verify_plugin() among them; "older_version"; nothing is changed then.
Result<Installed> install_bundle(const std::filesystem::path& bundle, const InstallRules& rules);

// The same check, of a bundle that is unpacked in a temporary folder and removed again.
Result<Installed> verify_bundle(const std::filesystem::path& bundle, const TrustStore& store, Time now);

// One version, or, without one, the plugin with all of them. Error "plugin_missing" when it is not there.
Status remove_plugin(const std::filesystem::path& plugin_dir, const std::string& id, const std::string& version = "");

}  // namespace hawser::trust
