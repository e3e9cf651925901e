#pragma once

#include <filesystem>
#include <string>

#include "cloud/api/settings.hpp"
#include "cloud/store/records.hpp"
#include "core/base/result.hpp"

namespace hawser::cloud {

inline constexpr std::size_t kUploadedPluginBytesMax = 64 << 20;  // of one; a device takes no larger one

// Beside the database, 0700.
std::filesystem::path plugin_bundle_folder(const Settings& settings);
// What the manifest within says; plugin, version, sha256 and bytes are set. Whoever signed it: a device decides whom it
// trusts. Unpacks it below the folder for temporary files. Blocks on the disk.
Result<PluginBundle> read_plugin_bundle(const std::filesystem::path& file);
// Copies it to bundle.file, readable for the server too where root uploads it.
Status keep_plugin_bundle(const Settings& settings, const std::filesystem::path& from, const PluginBundle& bundle);

}  // namespace hawser::cloud
