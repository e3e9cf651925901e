#pragma once

#include "core/control/archive.hpp"
#include "core/control/ctl_support.hpp"

namespace hawser::control {

// Puts everything into the archive that can be had: state, history, plugins, configuration without secrets, the end of
// the journal, versions, the system's network, and what `doctor` finds. What cannot be had is named in missing.txt; an
// Error comes only when the archive itself cannot be written.
Status fill_bundle(const CtlOptions& options, ArchiveWriter& archive);

}  // namespace hawser::control
