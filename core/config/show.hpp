#pragma once

#include "core/config/settings.hpp"

namespace hawser::config {

// The settings that are in force, for `hawserctl config show`: the keys of hawser.toml as nested objects, times in
// whole seconds, and what was left out filled in. No secret stands in it. Any thread.
json::Object to_json(const Settings& settings);

}  // namespace hawser::config
