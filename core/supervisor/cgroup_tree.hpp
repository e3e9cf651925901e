#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "core/base/result.hpp"
#include "core/config/plugin_limits.hpp"

namespace hawser::supervisor {

// The part of the cgroup v2 tree that was left to us, by systemd's Delegate=yes for one: the agent itself stands in a
// leaf "agent", and each plugin's host in a leaf "plugin-<id>" beside it, with limits that the kernel enforces.
// Owned by the supervisor, lives on the loop's thread.
class CgroupTree {
 public:
  // Moves this process into its leaf. The Error says in one sentence why limits are held otherwise: no cgroup v2, other
  // processes in our cgroup, no permission, a controller that is missing.
  static Result<CgroupTree> take_over();

  // A leaf with these limits, for a host that runs already and has done nothing yet.
  Status admit(const std::string& plugin, pid_t host, const config::PluginLimits& limits);
  bool holds(const std::string& plugin) const { return leaves_.count(plugin) > 0; }
  // Whether the kernel has ended a process of the leaf for lack of memory since admit().
  bool ran_out_of_memory(const std::string& plugin) const;
  std::optional<std::int64_t> memory_bytes(const std::string& plugin) const;
  // Ends what is left in it, and removes it.
  void remove(const std::string& plugin);

  const std::filesystem::path& folder() const { return base_; }

 private:
  explicit CgroupTree(std::filesystem::path base) : base_(std::move(base)) {}
  std::filesystem::path leaf(const std::string& plugin) const { return base_ / ("plugin-" + plugin); }

  std::filesystem::path base_;
  std::map<std::string, std::int64_t> leaves_;  // and their count of kills at admit()
};

// The folder of our own cgroup, from the texts of /proc/self/cgroup and /proc/self/mountinfo; an Error where this system
// has no cgroup v2.
Result<std::filesystem::path> own_cgroup(const std::string& cgroup_text, const std::string& mountinfo_text);

}  // namespace hawser::supervisor
