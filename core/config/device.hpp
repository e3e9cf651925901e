#pragma once

#include "core/base/result.hpp"
#include "core/config/load.hpp"

// Who the device is, by its own hardware. Blocks on sysfs only. Any thread.
namespace hawser::config {

// From DMI, else the device tree. An Error says what was found and why it cannot serve: known junk of board makers
// (empty, zeros, "None", "To be filled by O.E.M." and the like), a wrong form, unreadable.
Result<std::string> hardware_serial(const DeviceSources& sources);
Result<std::string> hardware_model(const DeviceSources& sources);

std::string system_hostname();  // "localhost" where there is none

}  // namespace hawser::config
