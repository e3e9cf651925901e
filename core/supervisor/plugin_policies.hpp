#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/loop.hpp"
#include "core/config/settings.hpp"
#include "core/control/confinement.hpp"
#include "core/supervisor/cgroup_tree.hpp"
#include "core/supervisor/permissions.hpp"
#include "core/supervisor/plugin_store.hpp"
#include "core/supervisor/plugin_uids.hpp"
#include "core/supervisor/resource_watch.hpp"

namespace hawser::supervisor {

// All that one plugin's host may do and use: what hawserd enforces, what it tells the host to put up, and why.
struct Policy {
  Permissions permissions;
  config::PluginLimits limits;  // every one has a value
  control::Confinement confinement;
  bool cgroup = false;  // the kernel holds memory, CPU and threads
  std::vector<std::string> missing;  // walls that hawserd itself could not put up, a sentence each
  std::optional<control::Isolation> isolation{};  // what the host says is in force
  std::optional<std::int64_t> pss_kib{};          // what it said last
};

// Another one means another host: walls are put up once in a process.
bool needs_another_host(const Policy& before, const Policy& now);

// Works out the policies, and keeps the one that each running host began with.
// Owned by the supervisor, lives on the loop's thread. Blocks on the disk.
class PluginPolicies {
 public:
  // `cgroups`: or why there are none. `on_over`: see ResourceWatch.
  PluginPolicies(Loop& loop, std::filesystem::path state_dir, std::int64_t first_uid, Result<CgroupTree> cgroups,
                 ResourceWatch::OnOver on_over);

  void set_first_uid(std::int64_t first) { uids_.set_first(first); }

  // `network_namespace`: of the binding that the plugin's subconnections will have.
  Policy plan(const FoundPlugin& plugin, const config::PluginSettings& settings, const std::string& network_namespace);
  // For a host that has begun and knows nothing yet: makes its state folder and its cgroup, and watches what it uses.
  // Kept until the next one begins.
  const Policy& put_in_force(const FoundPlugin& plugin, const config::PluginSettings& settings, pid_t host,
                             const std::string& network_namespace);
  const Policy* in_force(const std::string& plugin) const;
  // The host is gone: why, where the kernel was it. Once, before host_ended().
  std::optional<Error> cause_of_end(const std::string& plugin) const { return watch_.cause_of_end(plugin); }
  // A running host got no more memory: `uses` with the limit, and how to lift it.
  Error over_memory(const std::string& plugin, const std::string& uses) const {
    return watch_.over_memory(plugin, uses);
  }
  void host_ended(const std::string& plugin);
  void forget(const std::string& plugin) { in_force_.erase(plugin); }
  // What the host says of itself, once for each host.
  void note_isolation(const std::string& plugin, control::Isolation isolation);
  // With the cgroup, and with what hawserd itself could not put up; nothing before the host has said its part.
  std::optional<control::Isolation> isolation(const std::string& plugin) const;
  void note_pss(const std::string& plugin, std::int64_t kib);
  std::optional<std::int64_t> pss_kib(const std::string& plugin) const;
  std::optional<Usage> usage(const std::string& plugin) const { return watch_.usage(plugin); }

  std::filesystem::path state_folder(const std::string& plugin) const { return state_dir_ / "plugins" / plugin; }

 private:
  std::filesystem::path state_dir_;
  PluginUids uids_;
  std::optional<CgroupTree> cgroups_;
  std::string why_no_cgroups_;
  ResourceWatch watch_;
  std::map<std::string, Policy> in_force_;
};

// Each limit: the smaller of the operator's and the manifest's, else the usual one. A granted threads: or state: counts
// as the manifest's word.
config::PluginLimits limits_of(const trust::Manifest& manifest, const Permissions& permissions,
                               const config::PluginSettings& settings);

// The name when it is that of a named network namespace; empty for a VRF, another device, or none.
std::string namespace_of(const std::string& vpn_instance);

}  // namespace hawser::supervisor
