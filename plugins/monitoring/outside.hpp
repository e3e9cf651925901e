#pragma once

#include <sys/statvfs.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace hawser::monitoring {

struct Space {                                       // of a file system, in bytes
  std::uint64_t total = 0, free = 0, available = 0;  // available: without what is kept for root
};

// What the plugin sees of the world, so that tests hand in another one.
struct Outside {
  std::string proc = "/proc";
  std::string sys = "/sys";
  std::function<std::chrono::nanoseconds()> now = [] { return std::chrono::system_clock::now().time_since_epoch(); };
  std::function<std::optional<Space>(const std::string&)> space = [](const std::string& point) -> std::optional<Space> {
    struct statvfs found {};
    if (::statvfs(point.c_str(), &found) != 0 || found.f_blocks == 0) return std::nullopt;
    const std::uint64_t block = found.f_frsize;
    return Space{found.f_blocks * block, found.f_bfree * block, found.f_bavail * block};
  };
};

}  // namespace hawser::monitoring
