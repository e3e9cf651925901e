#pragma once

#include <chrono>

#include "core/control/ctl_support.hpp"

namespace hawser::control {

inline constexpr std::chrono::seconds kWatchInterval{1};

// The state without what moves by itself (durations, waits, counters of messages that flow): what --watch compares.
// It takes those members out of `state`.
std::string watched_text(json::Object state);

// `state` and `state --watch`.
void add_state_commands(CLI::App& app, const CtlOptions& options, Run& run);

}  // namespace hawser::control
