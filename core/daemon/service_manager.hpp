#pragma once

#include <string>

namespace hawser::daemon {

// Tells the service manager that started us ("READY=1", "STOPPING=1"): one datagram to $NOTIFY_SOCKET, sd_notify(3).
// Without one, or when it does not listen, nothing happens. Main thread.
void tell_service_manager(const std::string& state);

}  // namespace hawser::daemon
