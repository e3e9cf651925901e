#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/result.hpp"

namespace hawser::daemon {

// May the device key and the spools stand there? Refused with what is wrong, where, and what to do: "bad_usage" for a
// path that is not absolute, "bad_config" for a place where somebody else could put another folder in its place: each
// folder on the way, and each link, must belong to root or to this user, and one that everybody may write to must be
// sticky, as /tmp is. The folder itself, where it is there, must be writable to its owner only. Returns warnings: a
// place that does not last (tmpfs) or that keeps no promise of what is on disk (a network's file system). "io_error"
// where it cannot be told.
Result<std::vector<std::string>> check_state_folder(const std::filesystem::path& path);

}  // namespace hawser::daemon
