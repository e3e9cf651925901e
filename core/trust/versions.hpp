#pragma once

#include <filesystem>
#include <vector>

#include "core/base/result.hpp"
#include "core/trust/version.hpp"

// The versions of one plugin that stand beside each other in <plugin dir>/<id>/. Blocks on the disk only; any thread.
namespace hawser::trust {

// In the plugin's folder: the version to run where that is not the newest, as an operator went back to an older one.
inline constexpr const char* kWantedFile = "wanted-version";

// Ascending. Folders whose name is no version are passed over: a package manager or an editor may leave such beside.
Result<std::vector<Version>> installed_versions(const std::filesystem::path& home);

// The one that is to run: what kWantedFile names, where that is there, else the newest. Error "plugin_missing" with the
// remedy when there is none.
Result<Version> wanted_version(const std::filesystem::path& home);

// Makes `version` the wanted one, also after a power cut: the file is written where a newer one stands beside it, else
// removed.
Status want_version(const std::filesystem::path& home, const Version& version);

// What was made, renamed or removed in it is on the disk.
Status sync_folder(const std::filesystem::path& folder);

}  // namespace hawser::trust
