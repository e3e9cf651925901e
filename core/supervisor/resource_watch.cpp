#include "core/supervisor/resource_watch.hpp"

#include <unistd.h>

#include <algorithm>
#include <deque>
#include <sstream>

#include "core/base/files.hpp"
#include "core/supervisor/cgroup_tree.hpp"
#include "core/supervisor/disk_walk.hpp"

namespace hawser::supervisor {
namespace {

using config::PluginLimits;

constexpr std::size_t kProcFileBytesMax = 64 * 1024;
constexpr std::size_t kEntriesPerStep = 256;
constexpr milliseconds kStepPause{20};

// utime, stime and num_threads of proc(5)'s stat; the second field is the name in parentheses and may hold anything.
void read_stat(const std::string& folder, Usage& usage) {
  const auto text = read_file(folder + "/stat", kProcFileBytesMax);
  const auto name_end = text ? text->rfind(')') : std::string::npos;
  if (name_end == std::string::npos) return;
  std::istringstream fields(text->substr(name_end + 1));
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;
  std::int64_t user = 0, system = 0, threads = 0;
  fields >> user >> system;
  for (int field = 16; field < 20; ++field) fields >> skipped;
  if (!(fields >> threads)) return;
  usage.cpu_ms = (user + system) * 1000 / ::sysconf(_SC_CLK_TCK);
  usage.threads = threads;
}

// "bytes of memory", or "32 MiB of memory" where that is a round number.
std::string what_of(const config::LimitRow& row, std::int64_t limit) {
  constexpr std::string_view kBytes = "bytes";
  const bool round = limit > 0 && limit % config::kMiB == 0 && row.what.substr(0, kBytes.size()) == kBytes;
  if (!round) return std::string(row.what);
  return std::to_string(limit / config::kMiB) + " MiB" + std::string(row.what.substr(kBytes.size()));
}

// What is its own: mapped files are the page cache's, which the kernel takes back when it needs it.
void read_statm(const std::string& folder, Usage& usage) {
  const auto text = read_file(folder + "/statm", kProcFileBytesMax);
  if (!text) return;
  std::istringstream fields(*text);
  std::int64_t size = 0, resident = 0, shared = 0;
  if (fields >> size >> resident >> shared) usage.memory_bytes = (resident - shared) * ::sysconf(_SC_PAGESIZE);
}

const config::LimitRow& row_of(std::optional<std::int64_t> PluginLimits::*member) {
  for (const auto& row : config::kLimitRows) {
    if (row.member == member) return row;
  }
  return config::kLimitRows.front();  // every member has its row
}

}  // namespace

struct ResourceWatch::Watched {
  Host host;
  bool in_cgroup = false, told = false;
  Usage usage{};
  struct Sample {
    TimePoint at;
    std::int64_t cpu_ms;
  };
  std::deque<Sample> cpu{};  // the last kCpuPeriods and one
  std::optional<DiskWalk> walk{};
};

ResourceWatch::ResourceWatch(Loop& loop, CgroupTree* cgroups, OnOver on_over)
    : loop_(loop), cgroups_(cgroups), on_over_(std::move(on_over)), restraint_(loop) {}

ResourceWatch::~ResourceWatch() {
  loop_.cancel(timer_);
  loop_.cancel(walk_timer_);
}

void ResourceWatch::watch(const std::string& plugin, Host host) {
  const bool in_cgroup = cgroups_ && cgroups_->holds(plugin);
  if (!in_cgroup) restraint_.hold(plugin, host.pid, *host.limits.cpu_percent);
  hosts_[plugin] = std::make_unique<Watched>(Watched{std::move(host), in_cgroup});
  if (timer_ == 0) timer_ = loop_.every(kPeriod, [this] { look(); });
}

void ResourceWatch::forget(const std::string& plugin) {
  restraint_.let_go(plugin);
  hosts_.erase(plugin);
  if (!hosts_.empty()) return;
  loop_.cancel(std::exchange(timer_, 0));
  loop_.cancel(std::exchange(walk_timer_, 0));
}

std::optional<Usage> ResourceWatch::usage(const std::string& plugin) const {
  const auto found = hosts_.find(plugin);
  if (found == hosts_.end()) return std::nullopt;
  Usage usage = found->second->usage;
  usage.cpu_restrained = restraint_.restrains(plugin);
  return usage;
}

std::optional<Error> ResourceWatch::cause_of_end(const std::string& plugin) const {
  const auto found = hosts_.find(plugin);
  if (found == hosts_.end() || !cgroups_ || !cgroups_->ran_out_of_memory(plugin)) return std::nullopt;
  return over_limit(found->second->host, row_of(&PluginLimits::memory_bytes), "the kernel ended it: it wanted more");
}

Error ResourceWatch::over_memory(const std::string& plugin, const std::string& uses) const {
  const auto found = hosts_.find(plugin);
  if (found == hosts_.end()) return {"out_of_memory", uses};
  return over_limit(found->second->host, row_of(&PluginLimits::memory_bytes), uses + ": it wanted more");
}

Error over_limit(const ResourceWatch::Host& host, const config::LimitRow& row, const std::string& uses) {
  const std::int64_t limit = (host.limits.*row.member).value_or(row.usual);
  const std::string name(row.name);
  const bool memory = row.member == &PluginLimits::memory_bytes;
  const auto& manifests = host.manifest.*row.member;
  const std::string remedy =
      manifests && *manifests == limit
          ? "; its manifest asks for no more, and [limits] cannot raise that: install a version that does"
          : "; to lift it, raise " + name + " in [limits] of " + host.settings_file;
  return {memory ? "out_of_memory" : "over_budget",
          uses + " than its limit " + name + " = " + std::to_string(limit) + " (" + what_of(row, limit) + ")" + remedy};
}

void ResourceWatch::look() {
  std::vector<std::string> plugins;  // on_over_ may forget one
  for (const auto& [plugin, host] : hosts_) plugins.push_back(plugin);
  for (const auto& plugin : plugins) {
    const auto found = hosts_.find(plugin);
    if (found != hosts_.end()) look_at(plugin, *found->second);
  }
  walk_disk();
}

void ResourceWatch::look_at(const std::string& plugin, Watched& watched) {
  const std::string folder = "/proc/" + std::to_string(watched.host.pid);
  read_stat(folder, watched.usage);
  read_statm(folder, watched.usage);
  if (!watched.walk) watched.walk.emplace(watched.host.state_dir);
  const TimePoint now = Clock::now();
  watched.cpu.push_back({now, watched.usage.cpu_ms.value_or(0)});
  if (watched.cpu.size() > kCpuPeriods + 1) watched.cpu.pop_front();
  if (watched.in_cgroup) {  // the kernel enforces the rest
    watched.usage.memory_bytes = cgroups_->memory_bytes(plugin);
    return;
  }
  const PluginLimits& limits = watched.host.limits;
  if (watched.usage.memory_bytes.value_or(0) > *limits.memory_bytes)
    return over(plugin, watched, &PluginLimits::memory_bytes, *watched.usage.memory_bytes);
  if (watched.usage.threads.value_or(0) > *limits.threads)
    return over(plugin, watched, &PluginLimits::threads, *watched.usage.threads);
  if (watched.cpu.size() <= kCpuPeriods) return;
  const auto elapsed = std::chrono::duration_cast<milliseconds>(now - watched.cpu.front().at).count();
  const auto percent =
      (watched.cpu.back().cpu_ms - watched.cpu.front().cpu_ms) * 100 / std::max<std::int64_t>(elapsed, 1);
  if (percent > *limits.cpu_percent) over(plugin, watched, &PluginLimits::cpu_percent, percent);
}

void ResourceWatch::over(const std::string& plugin, Watched& watched, Member member, std::int64_t value) {
  tell(plugin, watched, over_limit(watched.host, row_of(member), "it uses " + std::to_string(value) + ", more"));
}

void ResourceWatch::tell(const std::string& plugin, Watched& watched, const Error& why) {
  if (!std::exchange(watched.told, true)) on_over_(plugin, why);
}

// A slice of each folder that is being added up. A small one is done at once.
void ResourceWatch::walk_disk() {
  loop_.cancel(std::exchange(walk_timer_, 0));
  bool more = false;
  std::vector<std::string> full;
  for (auto& [plugin, watched] : hosts_) {
    if (!watched->walk) continue;
    if (!watched->walk->step(kEntriesPerStep)) {
      more = true;
      continue;
    }
    watched->usage.disk_bytes = watched->walk->bytes();
    if (watched->walk->bytes() > *watched->host.limits.disk_bytes || watched->walk->too_deep()) full.push_back(plugin);
    watched->walk.reset();
  }
  if (more) walk_timer_ = loop_.after(kStepPause, [this] { walk_disk(); });
  for (const auto& plugin : full) {
    const auto found = hosts_.find(plugin);
    if (found == hosts_.end()) continue;
    Watched& watched = *found->second;
    if (watched.usage.disk_bytes > *watched.host.limits.disk_bytes)
      over(plugin, watched, &PluginLimits::disk_bytes, *watched.usage.disk_bytes);
    tell(plugin, watched,
         {"over_budget", "its state folder " + watched.host.state_dir.string() + " is more than " +
                             std::to_string(DiskWalk::kDepthMax) + " folders deep; remove what is below"});
  }
}

}  // namespace hawser::supervisor
