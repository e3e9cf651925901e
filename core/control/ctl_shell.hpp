#pragma once

#include "core/control/ctl_support.hpp"

namespace hawser::control {

// `shell [FILE]`: the guide's own command line (promise state-5).
void add_shell_commands(CLI::App& app, const CtlOptions& options, Run& run);

}  // namespace hawser::control
