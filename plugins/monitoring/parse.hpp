#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// What the kernel writes in /proc and /sys, as values. Pure functions: text in, values out. A line that has another
// form than expected is left out, never guessed at; nothing throws but for want of memory.
namespace hawser::monitoring {

inline constexpr std::size_t kRowsMax = 4096;  // of any one table; what follows is left out

enum class CpuMode { user, nice, system, idle, iowait, interrupt, steal };
inline constexpr std::array<std::string_view, 7> kCpuModeNames = {"user",   "nice",      "system", "idle",
                                                                  "iowait", "interrupt", "steal"};

struct CpuTimes {
  std::uint32_t logical_number = 0;
  std::array<std::uint64_t, kCpuModeNames.size()> ticks{};  // by CpuMode; hardware and software interrupts together
};

struct Stat {  // /proc/stat
  std::vector<CpuTimes> cpus;
  std::optional<std::uint64_t> boot_time_s;        // since 1970
  std::optional<std::uint64_t> processes_created;  // since boot
};

struct LoadAverage {  // /proc/loadavg
  double one_minute = 0, five_minutes = 0, fifteen_minutes = 0;
};

struct Memory {  // /proc/meminfo, in bytes
  std::uint64_t total = 0, free = 0, available = 0, buffers = 0, cached = 0, reclaimable = 0, shared = 0;
  std::uint64_t used() const;
};

struct Swap {  // a row of /proc/swaps, in bytes
  std::string device;
  std::uint64_t size = 0, used = 0;
};

struct Mount {  // a row of /proc/mounts
  std::string device, point, type;
  bool read_only = false;
};

struct Disk {  // a row of /proc/diskstats
  std::string device;
  std::uint64_t reads = 0, read_sectors = 0, read_ms = 0, writes = 0, written_sectors = 0, write_ms = 0, io_ms = 0;
};
inline constexpr std::uint64_t kSectorBytes = 512;  // of /proc/diskstats, whatever the device's own are

struct Direction {
  std::uint64_t bytes = 0, packets = 0, errors = 0, dropped = 0;
};
struct Interface {  // a row of /proc/net/dev
  std::string name;
  Direction receive, transmit;
};

// Each fills `out`, whose memory is used again from sample to sample.
void parse_stat(std::string_view text, Stat& out);
void parse_swaps(std::string_view text, std::vector<Swap>& out);
void parse_mounts(std::string_view text, std::vector<Mount>& out);
void parse_diskstats(std::string_view text, std::vector<Disk>& out);
void parse_net_dev(std::string_view text, std::vector<Interface>& out);

std::optional<LoadAverage> parse_loadavg(std::string_view text);
std::optional<Memory> parse_meminfo(std::string_view text);
std::optional<double> parse_uptime_s(std::string_view text);
std::optional<std::uint64_t> parse_first_number(std::string_view text);  // the first word of a file of numbers
std::optional<std::uint64_t> parse_last_number(std::string_view text);   // the last one
std::optional<double> parse_millidegrees(std::string_view text);         // in degrees Celsius; -273 to 1000 only
std::string_view first_line(std::string_view text);

}  // namespace hawser::monitoring
