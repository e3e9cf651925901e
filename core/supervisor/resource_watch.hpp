#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "core/base/loop.hpp"
#include "core/base/result.hpp"
#include "core/config/plugin_limits.hpp"
#include "core/supervisor/cpu_restraint.hpp"

namespace hawser::supervisor {

class CgroupTree;

// What a host used when it was last looked at. Nothing where the system does not tell.
struct Usage {
  std::optional<std::int64_t> cpu_ms, memory_bytes, threads, disk_bytes;
  bool cpu_restrained = false;  // CpuRestraint
};

// Looks every kPeriod at what the hosts use and says which one is over a limit that the kernel does not enforce; tells
// after a host's end whether the kernel ended it for lack of memory. It ends nobody.
// Owned by the supervisor, lives on the loop's thread; `loop` must outlive it. No timer runs while no host does.
class ResourceWatch {
 public:
  static constexpr milliseconds kPeriod{5000};
  static constexpr int kCpuPeriods = 2;  // cpu_percent counts over 10 s

  // Called at most once for each host. `why` has code "out_of_memory" or "over_budget"; its words name the rule, the
  // value, the limit and how to lift it (state-6).
  using OnOver = std::function<void(const std::string& plugin, const Error& why)>;
  // `cgroups`: null where there are none; must outlive it.
  ResourceWatch(Loop& loop, CgroupTree* cgroups, OnOver on_over);
  ResourceWatch(const ResourceWatch&) = delete;
  ResourceWatch& operator=(const ResourceWatch&) = delete;
  ~ResourceWatch();

  struct Host {
    pid_t pid = 0;
    config::PluginLimits limits;    // every one has a value
    config::PluginLimits manifest;  // what the manifest says, which no operator can raise
    std::filesystem::path state_dir;
    std::string settings_file;  // where the operator lifts a limit
  };
  // Replaces an earlier host of this plugin.
  void watch(const std::string& plugin, Host host);
  // Its process has ended, its cgroup is still there: the cause where the kernel was it.
  std::optional<Error> cause_of_end(const std::string& plugin) const;
  // Its host says that an allocation failed: that, with the limit and how to lift it.
  Error over_memory(const std::string& plugin, const std::string& uses) const;
  void forget(const std::string& plugin);

  std::optional<Usage> usage(const std::string& plugin) const;
  void look();  // now, as the timer does

 private:
  struct Watched;
  void look_at(const std::string& plugin, Watched& watched);
  using Member = std::optional<std::int64_t> config::PluginLimits::*;
  void over(const std::string& plugin, Watched& watched, Member member, std::int64_t value);
  void tell(const std::string& plugin, Watched& watched, const Error& why);
  void walk_disk();

  Loop& loop_;
  CgroupTree* cgroups_;
  OnOver on_over_;
  CpuRestraint restraint_;
  std::map<std::string, std::unique_ptr<Watched>> hosts_;
  Loop::TimerId timer_ = 0, walk_timer_ = 0;
};

// "it uses 70, more than its limit cpu_percent = 50 (...); to lift it, raise ..."
Error over_limit(const ResourceWatch::Host& host, const config::LimitRow& row, const std::string& uses);

}  // namespace hawser::supervisor
