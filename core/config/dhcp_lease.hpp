#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "core/config/settings.hpp"

// What one interface's DHCP client left for us, RUNTIME/dhcp/<interface>: lines `option_<code>=<hex of its bytes>`, and
// `expires_boot_s=<seconds of /proc/uptime>`. Whoever answers DHCP on the network wrote the bytes: hostile data, data
// alone, and no more than a hint, since TLS decides who the cloud is (promises conn-11, conn-12). Any thread.
namespace hawser::config {

inline constexpr std::size_t kLeaseBytesMax = 4096;
inline constexpr std::size_t kLeaseFilesMax = 64;
inline constexpr std::size_t kDhcpPasswordBytesMax = 128;

struct Lease {
  std::string domain;
  std::optional<std::string> password;
  std::optional<std::chrono::seconds> expires_boot;  // on CLOCK_BOOTTIME; never, when it is absent
  std::vector<std::string> remarks;                  // sentences about what was left out
};

// The content of such a file. An Error is one sentence that names the option and what is wrong with it. Nothing where
// the lease has no domain option and thus nothing to say.
Result<std::optional<Lease>> parse_lease(const std::string& content, const Dhcp& settings);

// The files in RUNTIME/dhcp that are heard, by the names of their interfaces, at most kLeaseFilesMax: each has the name of
// an interface, and the operator does not leave it out.
std::vector<std::filesystem::path> lease_files(const std::filesystem::path& folder, const Dhcp& settings);

std::chrono::seconds boot_time();  // CLOCK_BOOTTIME, by which leases end: it counts sleep, too
bool is_over(const Lease& lease);

// The file as the hook left it: regular, root's or our own user's, writable by nobody else, at most kLeaseBytesMax, no
// link followed.
Result<std::string> read_lease(const std::filesystem::path& file);

// Of these interfaces the one over which the best default route goes: IPv4 before IPv6, since the options are DHCPv4's,
// then the lowest metric. Nothing when none has one. `proc_net`: /proc/net, but for a test.
std::optional<std::string> best_default_route(const std::vector<std::string>& interfaces,
                                              const std::filesystem::path& proc_net = "/proc/net");

}  // namespace hawser::config
