#include "sampler.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <hawser/state_file.hpp>
#include <memory>
#include <set>

namespace hawser::monitoring {

namespace {

constexpr std::size_t kFileBytesMax = 4 * 1024 * 1024;  // /proc/stat of a big machine has 100 KiB
constexpr std::size_t kFolderEntriesMax = 1024;
constexpr std::chrono::seconds kClockIsUnsetBefore{1767225600};  // 2026-01-01: this code is younger than that

// File systems on a device of this machine: asking another (NFS, FUSE) may block for minutes.
bool is_local(std::string_view type) {
  static constexpr std::string_view kTypes[] = {"ext2",   "ext3",    "ext4",  "xfs",     "btrfs", "f2fs",
                                                "vfat",   "exfat",   "ntfs3", "zfs",     "ubifs", "jffs2",
                                                "yaffs2", "overlay", "jfs",   "reiserfs"};
  return std::find(std::begin(kTypes), std::end(kTypes), type) != std::end(kTypes);
}

std::uint64_t nanoseconds(std::chrono::nanoseconds time) { return static_cast<std::uint64_t>(time.count()); }

}  // namespace

Sampler::Sampler(Outside outside, std::string version)
    : outside_(std::move(outside)),
      version_(std::move(version)),
      ticks_per_second_(static_cast<double>(::sysconf(_SC_CLK_TCK))) {}

std::string_view Sampler::sample(const Identity& identity, std::uint64_t dropped) {
  const std::chrono::nanoseconds now = outside_.now();
  parse_stat(read(outside_.proc + "/stat"), stat_);
  const std::uint64_t boot = stat_.boot_time_s.value_or(0) * 1'000'000'000u;
  const std::uint64_t start = std::min(boot, nanoseconds(now));
  const Attribute serial{"device.id", identity.serial}, host{"host.name", identity.hostname};
  const Attribute site{"hawser.site", identity.site};
  if (now < kClockIsUnsetBefore) {
    out_.begin({serial, host, site, {"hawser.clock", "unset"}}, version_, start, nanoseconds(now));
  } else {
    out_.begin({serial, host, site}, version_, start, nanoseconds(now));
  }
  cpu();
  cpu_utilization();
  load();
  memory();
  swap();
  file_systems();
  disks();
  interfaces();
  temperatures();
  processes();
  out_.metric(Kind::counter, "hawser.monitoring.samples.dropped", "{sample}");
  out_.point(dropped);
  return out_.end();
}

void Sampler::cpu() {
  out_.metric(Kind::counter, "system.cpu.time", "s");
  for (const CpuTimes& cpu : stat_.cpus) {
    for (std::size_t mode = 0; mode < kCpuModeNames.size(); ++mode) {
      out_.point(static_cast<double>(cpu.ticks[mode]) / ticks_per_second_,
                 {{"cpu.logical_number", std::uint64_t{cpu.logical_number}}, {"cpu.mode", kCpuModeNames[mode]}});
    }
  }
  out_.metric(Kind::up_down_counter, "system.cpu.logical.count", "{cpu}");
  if (!stat_.cpus.empty()) out_.point(std::uint64_t{stat_.cpus.size()});
}

// The share of each mode since the sample before; so the first one has none. A core that was taken off or put on has
// none either, and a counter that fell (iowait does at times) counts as nothing.
void Sampler::cpu_utilization() {
  out_.metric(Kind::gauge, "system.cpu.utilization", "1");
  for (const CpuTimes& cpu : stat_.cpus) {
    const auto before = std::find_if(last_stat_.cpus.begin(), last_stat_.cpus.end(),
                                     [&](const CpuTimes& one) { return one.logical_number == cpu.logical_number; });
    if (before == last_stat_.cpus.end()) continue;
    std::array<double, kCpuModeNames.size()> spent{};
    double total = 0;
    for (std::size_t mode = 0; mode < spent.size(); ++mode) {
      if (cpu.ticks[mode] > before->ticks[mode])
        spent[mode] = static_cast<double>(cpu.ticks[mode] - before->ticks[mode]);
      total += spent[mode];
    }
    if (total <= 0) continue;
    for (std::size_t mode = 0; mode < spent.size(); ++mode) {
      out_.point(spent[mode] / total,
                 {{"cpu.logical_number", std::uint64_t{cpu.logical_number}}, {"cpu.mode", kCpuModeNames[mode]}});
    }
  }
  std::swap(stat_.cpus, last_stat_.cpus);
}

void Sampler::load() {
  const auto load = parse_loadavg(read(outside_.proc + "/loadavg"));
  if (!load) return;
  out_.metric(Kind::gauge, "system.cpu.load_average.1m", "{thread}");
  out_.point(load->one_minute);
  out_.metric(Kind::gauge, "system.cpu.load_average.5m", "{thread}");
  out_.point(load->five_minutes);
  out_.metric(Kind::gauge, "system.cpu.load_average.15m", "{thread}");
  out_.point(load->fifteen_minutes);
}

void Sampler::memory() {
  const auto memory = parse_meminfo(read(outside_.proc + "/meminfo"));
  if (!memory) return;
  out_.metric(Kind::up_down_counter, "system.memory.usage", "By");
  const auto state = [&](std::string_view name, std::uint64_t bytes) {
    out_.point(bytes, {{"system.memory.state", name}});
  };
  state("used", memory->used());
  state("free", memory->free);
  state("buffers", memory->buffers);
  state("cached", memory->cached + memory->reclaimable);
  out_.metric(Kind::up_down_counter, "system.memory.limit", "By");
  out_.point(memory->total);
  out_.metric(Kind::up_down_counter, "system.memory.shared", "By");
  out_.point(memory->shared);
  out_.metric(Kind::up_down_counter, "system.linux.memory.available", "By");
  out_.point(memory->available);
}

void Sampler::swap() {
  parse_swaps(read(outside_.proc + "/swaps"), swaps_);
  out_.metric(Kind::up_down_counter, "system.paging.usage", "By");
  for (const Swap& swap : swaps_) {
    out_.point(swap.used, {{"system.device", swap.device}, {"system.paging.state", "used"}});
    out_.point(swap.size - swap.used, {{"system.device", swap.device}, {"system.paging.state", "free"}});
  }
}

void Sampler::file_systems() {
  parse_mounts(read(outside_.proc + "/mounts"), mounts_);
  out_.metric(Kind::up_down_counter, "system.filesystem.usage", "By");
  std::set<std::string_view> seen;  // a device that is mounted twice counts once
  for (const Mount& mount : mounts_) {
    if (!is_local(mount.type) || (mount.device.starts_with('/') && !seen.insert(mount.device).second)) continue;
    const auto space = outside_.space(mount.point);
    if (!space || space->free > space->total || space->available > space->free) continue;
    const auto state = [&](std::string_view name, std::uint64_t bytes) {
      out_.point(bytes, {{"system.device", mount.device},
                         {"system.filesystem.mountpoint", mount.point},
                         {"system.filesystem.type", mount.type},
                         {"system.filesystem.mode", mount.read_only ? "ro" : "rw"},
                         {"system.filesystem.state", name}});
    };
    state("used", space->total - space->free);
    state("free", space->available);
    state("reserved", space->free - space->available);
  }
}

void Sampler::disks() {
  parse_diskstats(read(outside_.proc + "/diskstats"), disks_);
  // Whole devices only: what happens on a partition is in its disk's numbers too.
  std::erase_if(disks_, [this](const Disk& disk) {
    const bool is_virtual = disk.device.starts_with("loop") || disk.device.starts_with("ram");
    return is_virtual || ::access((outside_.sys + "/class/block/" + disk.device + "/partition").c_str(), F_OK) == 0;
  });
  const auto both = [&](std::string_view name, std::string_view unit, auto read_value, auto write_value) {
    out_.metric(Kind::counter, name, unit);
    for (const Disk& disk : disks_) {
      out_.point(read_value(disk), {{"system.device", disk.device}, {"disk.io.direction", "read"}});
      out_.point(write_value(disk), {{"system.device", disk.device}, {"disk.io.direction", "write"}});
    }
  };
  const auto seconds = [](std::uint64_t ms) { return static_cast<double>(ms) / 1000.0; };
  both(
      "system.disk.io", "By", [](const Disk& disk) { return disk.read_sectors * kSectorBytes; },
      [](const Disk& disk) { return disk.written_sectors * kSectorBytes; });
  both(
      "system.disk.operations", "{operation}", [](const Disk& disk) { return disk.reads; },
      [](const Disk& disk) { return disk.writes; });
  both(
      "system.disk.operation_time", "s", [&](const Disk& disk) { return seconds(disk.read_ms); },
      [&](const Disk& disk) { return seconds(disk.write_ms); });
  out_.metric(Kind::counter, "system.disk.io_time", "s");
  for (const Disk& disk : disks_) out_.point(seconds(disk.io_ms), {{"system.device", disk.device}});
}

void Sampler::network_counter(std::string_view name, std::string_view unit, std::uint64_t Direction::*counter) {
  out_.metric(Kind::counter, name, unit);
  for (const Interface& one : interfaces_) {
    out_.point(one.receive.*counter, {{"network.interface.name", one.name}, {"network.io.direction", "receive"}});
    out_.point(one.transmit.*counter, {{"network.interface.name", one.name}, {"network.io.direction", "transmit"}});
  }
}

void Sampler::interfaces() {
  parse_net_dev(read(outside_.proc + "/net/dev"), interfaces_);
  network_counter("system.network.io", "By", &Direction::bytes);
  network_counter("system.network.packet.count", "{packet}", &Direction::packets);
  network_counter("system.network.errors", "{error}", &Direction::errors);
  network_counter("system.network.packet.dropped", "{packet}", &Direction::dropped);
  out_.metric(Kind::up_down_counter, "hw.network.up", "1");
  for (const Interface& one : interfaces_) {
    const std::string_view state = first_line(read(outside_.sys + "/class/net/" + one.name + "/operstate"));
    // "unknown" is what devices without carrier detection say (loopback, tunnels) and tells nothing.
    if (state.empty() || state == "unknown") continue;
    out_.point(std::uint64_t{state == "up"}, {{"hw.id", one.name}, {"network.interface.name", one.name}});
  }
}

void Sampler::temperatures() {
  out_.metric(Kind::gauge, "hw.temperature", "Cel");
  const std::string chips = outside_.sys + "/class/hwmon", zones = outside_.sys + "/class/thermal";
  for (const std::string& chip : entries(chips)) hwmon_chip(chips + "/" + chip, chip);
  for (const std::string& zone : entries(zones)) {
    if (!zone.starts_with("thermal_zone")) continue;
    const std::string name(first_line(read(zones + "/" + zone + "/type")));
    if (const auto degrees = parse_millidegrees(read(zones + "/" + zone + "/temp"))) {
      out_.point(*degrees, {{"hw.id", zone}, {"hw.name", name}});
    }
  }
}

void Sampler::hwmon_chip(const std::string& folder, const std::string& chip) {
  const std::string chip_name(first_line(read(folder + "/name")));
  for (const std::string& file : entries(folder)) {
    if (!file.starts_with("temp") || !file.ends_with("_input")) continue;
    const std::string sensor = file.substr(0, file.size() - std::string_view("_input").size());
    const std::string label(first_line(read(folder + "/" + sensor + "_label")));
    const auto degrees = parse_millidegrees(read(folder + "/" + file));
    if (!degrees) continue;
    const std::string id = chip + "/" + sensor, name = label.empty() ? chip_name : chip_name + " " + label;
    out_.point(*degrees, {{"hw.id", id}, {"hw.name", name}});
  }
}

void Sampler::processes() {
  if (const auto uptime = parse_uptime_s(read(outside_.proc + "/uptime"))) {
    out_.metric(Kind::gauge, "system.uptime", "s");
    out_.point(*uptime);
  }
  if (stat_.processes_created) {
    out_.metric(Kind::counter, "system.process.created", "{process}");
    out_.point(*stat_.processes_created);
  }
  std::uint64_t count = 0;
  if (const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(outside_.proc.c_str()), ::closedir); folder) {
    while (const dirent* entry = ::readdir(folder.get())) count += entry->d_name[0] >= '1' && entry->d_name[0] <= '9';
  }
  out_.metric(Kind::up_down_counter, "system.process.count", "{process}");
  if (count != 0) out_.point(count);
  one_number(Kind::up_down_counter, "system.linux.file_handle.count", "{handle}", outside_.proc + "/sys/fs/file-nr");
  one_number(Kind::up_down_counter, "system.linux.file_handle.limit", "{handle}", outside_.proc + "/sys/fs/file-nr",
             true);
  const std::string conntrack = outside_.proc + "/sys/net/netfilter/nf_conntrack_";
  one_number(Kind::up_down_counter, "system.network.conntrack.count", "{entry}", conntrack + "count");
  one_number(Kind::up_down_counter, "system.network.conntrack.max", "{entry}", conntrack + "max");
}

void Sampler::one_number(Kind kind, const char* name, const char* unit, const std::string& path, bool last) {
  const std::string_view text = read(path);
  const auto value = last ? parse_last_number(text) : parse_first_number(text);
  out_.metric(kind, name, unit);
  if (value) out_.point(*value);
}

std::string_view Sampler::read(const std::string& path) {
  const sdk::FileDescriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return {};
  if (buffer_.empty()) buffer_.resize(16 * 1024);
  std::size_t size = 0;
  for (;;) {
    if (size == buffer_.size()) {
      if (size >= kFileBytesMax) return {};
      buffer_.resize(size * 2);
    }
    const ssize_t got = ::read(file.get(), buffer_.data() + size, buffer_.size() - size);
    if (got < 0) return {};  // a sensor that is asleep, an interface that has just gone
    if (got == 0) return {buffer_.data(), size};
    size += static_cast<std::size_t>(got);
  }
}

std::vector<std::string> Sampler::entries(const std::string& path) const {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), ::closedir);
  if (!folder) return names;
  while (const dirent* entry = ::readdir(folder.get())) {
    if (entry->d_name[0] != '.' && names.size() < kFolderEntriesMax) names.emplace_back(entry->d_name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace hawser::monitoring
