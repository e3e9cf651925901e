#pragma once

#include "core/config/faults.hpp"
#include "core/config/settings.hpp"

namespace hawser::config {

inline constexpr std::size_t kPluginConfigBytesMax = 48 * 1024;  // as JSON; it travels in one 64 KiB control message
inline constexpr std::size_t kActionsMax = 64;                   // of one plugin
inline constexpr std::size_t kCommandPartsMax = 256;

inline constexpr std::int64_t kSpoolBytesLeast = kMiB, kSpoolBytesMost = 1'048'576 * kMiB;

// Reads plugins.d/<id>.toml: [config] as the plugin wants it; [actions.<name>], permissions, [limits] and [spool] as the
// operator allows them. Settings
// without `file` when it does not exist. What is wrong goes to `faults`. Blocks on the disk only. Any thread.
PluginSettings read_plugin_file(const std::filesystem::path& folder, const std::string& id, Faults& faults);

}  // namespace hawser::config
