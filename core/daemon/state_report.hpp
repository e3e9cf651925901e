#pragma once

#include <string>

#include "core/base/json.hpp"
#include "core/config/settings.hpp"
#include "core/connection/main_connection.hpp"
#include "core/supervisor/supervisor.hpp"

namespace hawser::daemon {

// The JSON of `hawserctl state --json` and of the cloud's command `state`: the guide's 20 lines as members, then
// servers, waiting, identity and subconnections. Null where nothing is known. Reads /proc for what hosts use.
json::Object state_report(const config::Settings& settings, const connection::Snapshot& snapshot,
                          const supervisor::Supervisor& supervisor);

// One entry of `plugin_list`; with everything else that is known of it for `plugin_show`.
json::Object plugin_entry(const supervisor::SupervisedPlugin& plugin, const supervisor::Supervisor& supervisor);
json::Object plugin_details(const supervisor::SupervisedPlugin& plugin, const supervisor::Supervisor& supervisor);

// The configuration in force as JSON, without secrets.
json::Object config_report(const config::Settings& settings);

}  // namespace hawser::daemon
