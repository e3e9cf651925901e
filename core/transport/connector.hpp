#pragma once

#include <Poco/Net/SocketAddress.h>

#include <vector>

#include "core/base/files.hpp"
#include "core/transport/egress.hpp"
#include "core/transport/wait.hpp"

namespace hawser::transport {

struct Connected {
  Descriptor socket;  // non-blocking, close-on-exec
  Poco::Net::SocketAddress peer;
};

// Connects to the first of `addresses` that answers: the next one is begun when the one before failed, or after
// kAddressStagger (RFC 8305 §5); all of them go on until one has won. Errors: connect_refused, connect_timeout,
// network_unreachable (they name each address and what it said), attempt_timeout, cancelled. Sockets are made by
// `egress`.
Result<Connected> connect_any(const std::vector<Poco::Net::IPAddress>& addresses, std::uint16_t port, Waker& waker,
                              const StepLimit& limit, const Egress& egress = {});

}  // namespace hawser::transport
