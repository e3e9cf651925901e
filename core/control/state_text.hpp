#pragma once

#include <string>

#include "core/base/json.hpp"

namespace hawser::control {

// The guide's 20 lines of "display cloud-management state", in its order and layout (promise state-1).
std::string guide_text(const json::Object& state);
// What `hawserctl state` prints: the guide's 20 lines first, then servers, the next attempt, what is to be known of the
// clock, and the subconnections. `state`: the agent's answer to `state`;
// members that are missing are N/A. `width`: columns of the terminal, or kUnlimitedWidth.
std::string state_text(const json::Object& state, std::size_t width);

// `hawserctl plugin list`, from `plugins` of the answer to plugin_list, and `plugin show ID`, from that to plugin_show.
std::string plugin_list_text(const json::Array& plugins, std::size_t width);
std::string plugin_text(const json::Object& plugin);

// `hawserctl history`, from `events` of the answer to history.
std::string history_text(const json::Array& events, std::size_t width);

}  // namespace hawser::control
