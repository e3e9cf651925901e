#pragma once

#include "core/control/ctl_support.hpp"

namespace hawser::control {

CtlOutcome reset_connection(const CtlOptions& options, bool first);
// Refused without asking when the code has not the form of one (sdk/protocol.md §4).
CtlOutcome unbind(const CtlOptions& options, const std::string& code);
CtlOutcome show_history(const CtlOptions& options, int limit);  // 0: all that the agent has

// `reset`, `unbind` and `history`.
void add_connection_commands(CLI::App& app, const CtlOptions& options, Run& run);

}  // namespace hawser::control
