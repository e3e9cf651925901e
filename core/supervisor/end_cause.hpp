#pragma once

#include <string>

#include "core/base/result.hpp"
#include "core/supervisor/child_process.hpp"

namespace hawser::supervisor {

// Why a host is gone that nobody ended, told from how it ended: a reason of sdk/protocol.md §7 and a sentence that says
// what to do where there is something to do. `place`: what its flight page says ("in the callback timer for 3 ms"), or
// empty. `file`: the operator's file for the plugin.
Error end_cause(const ExitCause& cause, const std::string& place, const std::string& file);

}  // namespace hawser::supervisor
