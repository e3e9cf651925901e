#pragma once

#include "core/base/json.hpp"
#include "core/supervisor/supervisor.hpp"

namespace hawser::daemon {

// How far the plugin's host is walled off now: "full", "rlimits", "reduced"; null while no host has said so.
Poco::Dynamic::Var isolation_level(const supervisor::Supervisor& supervisor, const std::string& plugin);

// For `plugin_show`: isolation with what is missing, the permissions with the rule really in force, the limits in force
// and who holds them, and what was used when it was last looked at.
void set_isolation(json::Object entry, const supervisor::Supervisor& supervisor, const std::string& plugin);

}  // namespace hawser::daemon
