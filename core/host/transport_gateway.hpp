#pragma once

#include <chrono>
#include <string>

#include "core/host/subconnection.hpp"

namespace hawser::host {

// Reaches the cloud over verified TLS with a Dialer of its own (one context, one session per origin).
GatewayMaker transport_gateway(std::string ca_file, std::chrono::system_clock::time_point validity_floor);

}  // namespace hawser::host
