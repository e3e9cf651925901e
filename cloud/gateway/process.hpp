#pragma once

#include <optional>

// What the server asks of, and says to, the system that runs it. Main thread.
namespace hawser::cloud {

// Tells systemd "READY=1" and the like, where it is there.
void notify(const char* state);
// RELOADING=1 with the time that Type=notify-reload wants beside it.
void notify_reloading();

// A listening TCP socket on this port that the service manager opened for us (LISTEN_FDS, sd_listen_fds(3)), so that a
// process without any capability serves the port 443. The descriptor is the caller's; nothing when there is none.
std::optional<int> listener_from_service_manager(int port);

// Every connection is a descriptor; the usual limit of 1024 would let one address take them all. Warns when the hard
// limit does not reach.
void raise_descriptor_limit(int connections);

}  // namespace hawser::cloud
