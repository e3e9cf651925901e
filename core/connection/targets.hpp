#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/connection/main_connection.hpp"

// The list of servers, and what a change of the configuration or of the lease means for the one in use. Pure: values
// in, values out. Any thread.
namespace hawser::connection {

// What tells one server from another (sdk/protocol.md §1): "host:port", the host canonical.
std::string key_of(const Target& target);
// Whether a connection to `a` is one to `b`: the same name, port and binding, whatever role and source.
bool is_same_server(const Target& a, const Target& b);
std::optional<std::size_t> find_server(const std::vector<Target>& targets, const Target& wanted);

// The operator's password goes before a leased one.
std::string password_of(const config::Settings& settings, const std::optional<DhcpOffer>& dhcp);

// What a change comes to.
struct Impact {
  bool begin_at_first = false;          // the turn goes to the head of the list: a lease names another server
  bool authenticate_anew = false;       // tokens count no more
  bool dial_otherwise = false;          // another ca_file or proxy
  std::optional<Error> leave;           // why an established connection to `present` ends, if it does
  bool resumed = false, route = false;  // of the network
};

// `present`: the server that is connected, or whose turn it is. `reason`: of §7, for a server that is left.
struct Situation {
  const config::Settings& settings;
  const std::optional<DhcpOffer>& dhcp;
};
Impact impact_of(const Situation& before, const Situation& after, const std::optional<Target>& present,
                 const std::string& reason);
// Whether an attempt under way, to whichever server, has become pointless.
bool concerns_an_attempt(const Situation& before, const Situation& after);

}  // namespace hawser::connection
