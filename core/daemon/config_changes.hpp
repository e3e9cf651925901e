#pragma once

#include <string>
#include <vector>

#include "core/config/settings.hpp"

namespace hawser::daemon {

// The keys in which two configurations differ, as hawser.toml spells them ("cloud.ping.interval"; a list is one key;
// "plugins.d.<id>.config.<key>"), sorted, each once. No value stands in them. Any thread.
std::vector<std::string> changed_keys(const config::Settings& before, const config::Settings& now);

}  // namespace hawser::daemon
