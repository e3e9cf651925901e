#include "parse.hpp"

#include <hawser/state_file.hpp>
#include <limits>
#include <random>

#include "tests/catch.hpp"

namespace hawser::monitoring {
namespace {

std::string sample(const std::string& name) {
  return sdk::read_file(std::string(SAMPLES) + "/" + name, 1 << 20).value();
}

TEST_CASE("/proc/stat gives every core's times, the boot time and the processes made") {
  Stat stat;
  parse_stat(sample("proc/stat"), stat);
  REQUIRE(stat.cpus.size() == 2);
  CHECK(stat.cpus[1].logical_number == 1);
  CHECK(stat.cpus[1].ticks == std::array<std::uint64_t, 7>{4240, 2, 2688, 126403, 697, 86, 8});
  CHECK(stat.boot_time_s == 1764019000u);
  CHECK(stat.processes_created == 19520u);
}

TEST_CASE("memory, load and uptime come in bytes, threads and seconds") {
  const auto memory = parse_meminfo(sample("proc/meminfo")).value();
  CHECK(memory.total == 24684096ull * 1024);
  CHECK(memory.used() == (24684096ull - 24271008 - 3816 - 143168 - 168564) * 1024);
  CHECK(memory.shared == 8788ull * 1024);
  const auto load = parse_loadavg(sample("proc/loadavg")).value();
  CHECK(load.one_minute == 0.31);
  CHECK(load.fifteen_minutes == 12.07);
  CHECK(parse_uptime_s(sample("proc/uptime")).value() == 15.07);
  CHECK(parse_first_number(sample("proc/sys/fs/file-nr")).value() == 591);
  CHECK(parse_last_number(sample("proc/sys/fs/file-nr")).value() == 2466183);
}

TEST_CASE("swap areas, mounts, disks and interfaces come row by row, their names as they are") {
  std::vector<Swap> swaps;
  parse_swaps(sample("proc/swaps"), swaps);
  REQUIRE(swaps.size() == 2);
  CHECK(swaps[0].used == 1024u * 1024);
  CHECK(swaps[1].device == "/var/my swap");

  std::vector<Mount> mounts;
  parse_mounts(sample("proc/mounts"), mounts);
  REQUIRE(mounts.size() == 6);
  CHECK(mounts[3].point == "/mnt/usb disk");
  CHECK(mounts[3].read_only);
  CHECK_FALSE(mounts[1].read_only);

  std::vector<Disk> disks;
  parse_diskstats(sample("proc/diskstats"), disks);
  REQUIRE(disks.size() == 4);
  CHECK(disks[1].read_sectors == 80000);
  CHECK(disks[1].io_ms == 900);
  CHECK(disks[3].device == "sdb");  // the eleven fields of older kernels

  std::vector<Interface> interfaces;
  parse_net_dev(sample("proc/net/dev"), interfaces);
  REQUIRE(interfaces.size() == 3);
  CHECK(interfaces[1].receive.bytes == 72339222);  // no space after the colon
  CHECK(interfaces[1].transmit.dropped == 4);
  CHECK(interfaces[2].receive.bytes == std::numeric_limits<std::uint64_t>::max());
}

TEST_CASE("a temperature that no device has is none") {
  CHECK(parse_millidegrees("45500\n").value() == 45.5);
  CHECK(parse_millidegrees("-4000").value() == -4.0);
  CHECK_FALSE(parse_millidegrees("999999999"));
  CHECK_FALSE(parse_millidegrees("-300000"));
  CHECK_FALSE(parse_millidegrees("hot"));
}

void parse_everything(std::string_view text) {
  Stat stat;
  std::vector<Swap> swaps;
  std::vector<Mount> mounts;
  std::vector<Disk> disks;
  std::vector<Interface> interfaces;
  parse_stat(text, stat);
  parse_swaps(text, swaps);
  parse_mounts(text, mounts);
  parse_diskstats(text, disks);
  parse_net_dev(text, interfaces);
  parse_loadavg(text);
  parse_meminfo(text);
  parse_uptime_s(text);
  parse_first_number(text);
  parse_last_number(text);
  parse_millidegrees(text);
  CHECK(stat.cpus.size() <= kRowsMax);
  CHECK(interfaces.size() <= kRowsMax);
}

TEST_CASE("garbled text gives less, never nonsense and never a crash") {
  std::vector<Interface> interfaces;
  parse_net_dev("eth0: 1 2 3\nno colon here\n: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\neth1: a b c", interfaces);
  CHECK(interfaces.empty());
  parse_net_dev("e: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 99999999999999999999999", interfaces);
  CHECK(interfaces.empty());
  CHECK_FALSE(parse_meminfo("MemTotal: -5 kB\n"));
  CHECK_FALSE(parse_meminfo("MemTotal: 18446744073709551615 kB\n"));
  CHECK_FALSE(parse_loadavg("nan nan nan"));
  CHECK_FALSE(parse_loadavg("0.1 inf 0.2"));
  CHECK_FALSE(parse_uptime_s(""));
  std::vector<Swap> swaps;
  parse_swaps("heading\n/dev/x partition 10 20 -1\n", swaps);  // more used than there is
  CHECK(swaps.empty());
  Stat stat;
  parse_stat("cpu0 1 2 3\ncpuX 1 2 3 4 5 6 7 8\ncpu99999999999 1 2 3 4 5 6 7 8\nbtime soon\n", stat);
  CHECK(stat.cpus.empty());
  CHECK_FALSE(stat.boot_time_s);
}

TEST_CASE("every sample file, cut at every byte and with bytes changed at random, is read without harm") {
  std::mt19937 random(4711);  // fixed: a failure can be repeated
  for (const char* name :
       {"proc/stat", "proc/meminfo", "proc/swaps", "proc/mounts", "proc/diskstats", "proc/net/dev"}) {
    const std::string text = sample(name);
    for (std::size_t cut = 0; cut <= text.size(); cut += 3) parse_everything(std::string_view(text).substr(0, cut));
    for (int round = 0; round < 200; ++round) {
      std::string changed = text;
      for (int i = 0; i < 8; ++i) changed[random() % changed.size()] = static_cast<char>(random() % 256);
      parse_everything(changed);
    }
  }
  parse_everything(std::string(100'000, '\n'));
  parse_everything(std::string(100'000, ' '));
  parse_everything(std::string(100'000, '\0'));
}

}  // namespace
}  // namespace hawser::monitoring
