#pragma once

#include "core/control/ctl_support.hpp"

namespace hawser::control {

inline constexpr std::size_t kBundleBytesMax = 64 * 1024 * 1024;  // of the archive (sdk/protocol.md §4)
inline constexpr std::chrono::seconds kBundleDoctorLimit{60};
inline constexpr std::chrono::seconds kBundleProgramLimit{15};       // for each program of the system
inline constexpr std::size_t kBundleLogBytesMax = 16 * 1024 * 1024;  // the end of the journal, and of the log file
inline constexpr std::size_t kBundleOutputBytesMax = 1024 * 1024;    // of any other program
inline constexpr std::size_t kBundleConfigFilesMax = 256;

// `bundle`: one archive with all that a person needs who looks for a fault from afar (promise state-4).
void add_bundle_commands(CLI::App& app, const CtlOptions& options, Run& run);

}  // namespace hawser::control
