#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/config/settings.hpp"
#include "core/control/confinement.hpp"
#include "core/trust/manifest.hpp"

namespace hawser::supervisor {

// A permission that the manifest asks for, or a narrower one that the operator put in its place, and what became of it.
struct PermissionOutcome {
  std::string text;
  bool granted = false;
  std::string rule;  // the rule really in force, as in "read /var/log and below"; else why there is none
};

// What a plugin may do, after the manifest, the operator and the system each had their word.
struct Permissions {
  std::vector<config::Permission> granted;
  std::vector<PermissionOutcome> outcomes;  // in the manifest's order
  std::vector<std::string> remarks;         // of the operator's list: what the manifest never asked for
  std::vector<control::PathRule> paths;     // of what is granted; no path twice
  bool has(config::Permission::Kind kind) const;
  bool may_run(const std::string& action) const;
};

inline constexpr std::size_t kPathRulesMax = 256;  // of one plugin; an operator's [config] can name more globs

// Looks at the folders that globs name. `own`: folders that the plugin writes to by itself, where no symbolic link is
// followed, since the plugin can have made it. Blocks on the disk only.
Permissions permissions_of(const trust::Manifest& manifest, const config::PluginSettings& settings,
                           const std::filesystem::path& state_dir);

// The longest folder of a glob that no wildcard touches, never with the last part: "/var/log" of "/var/log/*.log".
std::string fixed_folder(const std::string& glob);

// The nearest folder at or above `folder` that exists, with every link resolved; an Error when that is /, or when a link
// stands below one of `own`. Reading may open what is above for what will be there later, writing never.
struct FoundFolder {
  std::string path;
  bool whole;  // it is `folder` itself
};
Result<FoundFolder> existing_folder(const std::string& folder, const std::vector<std::string>& own);

}  // namespace hawser::supervisor
