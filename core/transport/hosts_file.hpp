#pragma once

#include <Poco/Net/IPAddress.h>

#include <string>
#include <vector>

#include "core/transport/egress.hpp"

namespace hawser::transport {

// Whether the egress' namespace has a hosts file of its own (/etc/netns/<name>/hosts); it counts instead of /etc/hosts,
// as under `ip netns exec`.
bool has_own_hosts(const Egress& egress);

// The addresses that this file gives `host`, none when it does not name it. Lines that are no addresses are read past.
// Error dns_failed names a file that cannot be read.
Result<std::vector<Poco::Net::IPAddress>> from_own_hosts(const std::string& host, const Egress& egress);

}  // namespace hawser::transport
