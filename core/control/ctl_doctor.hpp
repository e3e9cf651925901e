#pragma once

#include <optional>

#include "core/control/ctl_support.hpp"
#include "core/control/doctor_report.hpp"

namespace hawser::control {

inline constexpr std::chrono::minutes kDoctorLimit{10};  // the servers that are left then are named

// Looks at everything (promise state-3). With an agent it goes on where a proof is needed.
void examine(const CtlOptions& options, milliseconds limit, DoctorReport& report);

// `doctor`.
void add_doctor_commands(CLI::App& app, const CtlOptions& options, Run& run);

}  // namespace hawser::control
