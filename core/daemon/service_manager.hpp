#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "core/base/loop.hpp"

namespace hawser::daemon {

// Tells the service manager that started us ("READY=1", "STOPPING=1"): one datagram to $NOTIFY_SOCKET, sd_notify(3).
// Without one, or when it does not listen, nothing happens. Main thread.
void tell_service_manager(const std::string& state);

// "RELOADING=1" with the time that goes with it; "READY=1" ends it.
void tell_reloading();

// Says "WATCHDOG=1" from the loop, twice in the time that the service manager asked for ($WATCHDOG_USEC,
// $WATCHDOG_PID): a loop that stands still is then ended by it. Nothing where it asked for none.
void feed_watchdog(Loop& loop);

}  // namespace hawser::daemon
