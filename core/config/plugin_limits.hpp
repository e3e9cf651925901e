#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace hawser::config {

// What one plugin may use: [limits] of its plugins.d file, and `limits` of its manifest. Absent: nothing is said.
struct PluginLimits {
  std::optional<std::int64_t> memory_bytes, cpu_percent, threads, descriptors, disk_bytes, log_lines, bytes_per_second;
  std::optional<std::int64_t> stall_s;  // "stall" in both files
  bool operator==(const PluginLimits&) const = default;
};

// One row is one limit: its name in both files, what may be written, and what holds when nobody writes anything.
struct LimitRow {
  std::string_view name;
  std::optional<std::int64_t> PluginLimits::*member;
  std::int64_t least, most, usual;
  std::string_view what;  // for people
};

inline constexpr std::int64_t kMiB = 1024 * 1024;

// The least is what a host needs for itself.
inline constexpr std::array kLimitRows = {
    LimitRow{"memory_bytes", &PluginLimits::memory_bytes, 16 * kMiB, 1'048'576 * kMiB, 64 * kMiB, "bytes of memory"},
    LimitRow{"cpu_percent", &PluginLimits::cpu_percent, 1, 6400, 50, "percent of one core, over 10 s"},
    LimitRow{"threads", &PluginLimits::threads, 8, 4096, 32, "threads and processes"},
    LimitRow{"descriptors", &PluginLimits::descriptors, 32, 65536, 256, "open descriptors"},
    LimitRow{"disk_bytes", &PluginLimits::disk_bytes, kMiB, 1'048'576 * kMiB, 256 * kMiB, "bytes in its state folder"},
    LimitRow{"log_lines", &PluginLimits::log_lines, 1, 10'000, 20, "log lines a second"},
    LimitRow{"bytes_per_second", &PluginLimits::bytes_per_second, 0, 1'000'000'000'000, 0,
             "bytes a second to the cloud, 0 for no limit"},
    LimitRow{"stall", &PluginLimits::stall_s, 1, 3600, 10, "seconds that one callback may take"},
};

}  // namespace hawser::config
