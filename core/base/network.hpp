#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// How a connection leaves the device: values that configuration, transport, main connection and hosts share. Any
// thread.
namespace hawser {

enum class IpVersion { Any, V4, V6 };

// To what a connection is bound (conn-14). An empty member means: as the system does it.
struct Binding {
  IpVersion ip_version = IpVersion::Any;
  std::string vpn_instance;  // a named network namespace (/run/netns), else a VRF or another network device
  std::string source_ip;     // a literal of the family that ip_version allows
  bool operator==(const Binding&) const = default;
};

// An HTTP proxy that is asked to CONNECT (conn-22); credentials go to it alone. An empty host means: none.
struct Proxy {
  std::string host;
  std::uint16_t port = 0;
  std::string user, password;         // an empty user: none
  std::vector<std::string> no_proxy;  // "example.com" (with all below it), an address, or "*": dialled without it
  bool operator==(const Proxy&) const = default;
};

}  // namespace hawser
