#pragma once

#include "core/connection/main_connection.hpp"
#include "core/control/doctor_device.hpp"

namespace hawser::control {

// What the hooks of the DHCP clients left in `door` (RUNTIME/dhcp), as the agent reads it: which interface's lease names
// which cloud, and what is refused. The one that counts; nothing where none does. Sends nothing.
std::optional<connection::DhcpOffer> check_dhcp(const std::filesystem::path& door, const config::Dhcp& settings,
                                                DoctorReport& report, const DeviceFolders& folders = {});

}  // namespace hawser::control
