#pragma once

#include <filesystem>
#include <optional>

#include "core/config/settings.hpp"
#include "core/control/ctl_support.hpp"
#include "core/control/doctor_report.hpp"

// The part of `doctor` that looks at this device and sends nothing. Blocks on the disk only.
namespace hawser::control {

// Where the system tells about itself; a test points it elsewhere.
struct DeviceFolders {
  std::filesystem::path proc = "/proc";
  std::filesystem::path resolv_conf = "/etc/resolv.conf";
};

// Every fault and warning of the configuration; the settings when they are good.
std::optional<config::Settings> check_configuration(const CtlOptions& options, DoctorReport& report);

// The clock against the build, the default route, the name servers, other agents with the same configuration, ca_file.
// `agent_answers`: whether one answered at the control socket.
void check_device(const std::filesystem::path& config_dir, const std::optional<config::Settings>& settings,
                  bool agent_answers, DoctorReport& report, const DeviceFolders& folders = {});

}  // namespace hawser::control
