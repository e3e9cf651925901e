#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

namespace hawser::daemon {

// What a process has used, from /proc. Nothing where it cannot be read: the process may be gone by now.
struct ProcessUsage {
  std::optional<std::int64_t> cpu_ms;   // user and system time
  std::optional<std::int64_t> pss_kib;  // its proportional share of memory
};

ProcessUsage usage_of(pid_t pid);

}  // namespace hawser::daemon
