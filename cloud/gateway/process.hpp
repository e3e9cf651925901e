#pragma once

// What the server asks of, and says to, the system that runs it. Main thread.
namespace hawser::cloud {

// Tells systemd "READY=1" and the like, where it is there.
void notify(const char* state);

// Every connection is a descriptor; the usual limit of 1024 would let one address take them all. Warns when the hard
// limit does not reach.
void raise_descriptor_limit(int connections);

}  // namespace hawser::cloud
