#pragma once

#include "core/control/archive.hpp"
#include "core/control/ctl_support.hpp"

namespace hawser::control {

// Puts everything into the archive that can be had: state, history, plugins, configuration without secrets, the agent's
// log, versions, the system's network, and what `doctor` finds. What cannot be had is named in missing.txt; an Error
// comes only when the archive itself cannot be written. The log comes from three places, since few small devices have a
// journal: the journal, the file that the agent's standard error is, and the last lines that the agent itself keeps.
// Returns what the operator must be told beside: empty, or a sentence on the log that is missing.
Result<std::string> fill_bundle(const CtlOptions& options, ArchiveWriter& archive);

}  // namespace hawser::control
