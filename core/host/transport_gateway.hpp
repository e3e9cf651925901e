#pragma once

#include "core/host/setup.hpp"
#include "core/host/subconnection.hpp"

namespace hawser::host {

// Reaches the cloud over verified TLS with a Dialer of its own (one context, one session per origin), by the grant's
// binding and the setup's proxy.
GatewayMaker transport_gateway(const Setup& setup);

}  // namespace hawser::host
