#pragma once

#include "core/control/ctl_support.hpp"

namespace hawser::control {

// The guide's hardware tables (conn-17), or one model's row in each; without an agent. Empty: every model.
CtlOutcome show_compatibility(const CtlOptions& options, const std::string& model);

void add_compat_commands(CLI::App& app, const CtlOptions& options, Run& run);

}  // namespace hawser::control
