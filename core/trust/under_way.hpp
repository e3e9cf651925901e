#pragma once

#include <filesystem>

#include "core/base/files.hpp"
#include "core/base/result.hpp"

// Installations and removals that are under way in the plugins' folder: one at a time on the device. Any thread.
namespace hawser::trust {

// What is under way lies in folders of the plugin dir whose names begin so; no plugin's id does.
inline constexpr const char* kUnderWay = ".hawser-";
inline constexpr const char* kLockFile = ".hawser-lock";  // stays; of root alone

// The plugin dir is locked until the descriptor is closed, and cleaned of what an interrupted one left. Error "busy".
Result<Descriptor> lock_plugin_dir(const std::filesystem::path& plugin_dir);

// What an interrupted installation or removal left, unless one is under way now. Where the folder cannot be written to,
// that is for the next installation.
void remove_leftovers(const std::filesystem::path& plugin_dir);

}  // namespace hawser::trust
