#include "core/supervisor/plugin_policies.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "core/base/files.hpp"
#include "core/base/log.hpp"

namespace hawser::supervisor {
namespace {

namespace fs = std::filesystem;
using Kind = config::Permission::Kind;

constexpr mode_t kPassable = 0711;  // to reach one's own folder in it, and to list nothing
// What RLIMIT_AS counts beside the memory in use: stacks and arenas are reserved, libraries are mapped.
constexpr std::uint64_t kAddressSpaceAllowance = 512 * std::uint64_t{config::kMiB};

// The first folder on the way that another user cannot pass; empty when there is none.
std::string closed_folder_on_the_way(const fs::path& folder) {
  fs::path at;
  for (const auto& part : fs::absolute(folder)) {
    at /= part;
    struct stat about {};
    if (::stat(at.c_str(), &about) == 0 && (about.st_mode & S_IXOTH) == 0) return at.string();
  }
  return "";
}

void open_the_way(const fs::path& folder) {
  if (::geteuid() != 0) return;
  if (const auto made = make_folder(folder, kPassable); !made) return spdlog::error("{}", made.error().message);
  std::error_code problem;
  fs::permissions(folder, fs::perms{kPassable}, problem);
  if (problem) spdlog::error("cannot make {} passable for plugins: {}", folder.string(), problem.message());
}

void take_capabilities(const Permissions& permissions, control::Confinement& confinement) {
  if (permissions.has(Kind::FileRead)) confinement.capabilities = {"CAP_DAC_READ_SEARCH"};
  if (permissions.has(Kind::FileWrite))
    confinement.capabilities = {"CAP_DAC_OVERRIDE", "CAP_CHOWN", "CAP_FOWNER"};
}

std::int64_t asked_by_permission(const Permissions& permissions, Kind kind) {
  std::int64_t most = 0;
  for (const auto& one : permissions.granted) {
    if (one.kind == kind) most = std::max<std::int64_t>(most, std::stoll(one.value));
  }
  return most;
}

}  // namespace

bool needs_another_host(const Policy& before, const Policy& now) {
  const auto in_words = [](control::Confinement confinement) {
    confinement.address_space_bytes = confinement.threads = 0;  // follow from the limits, and from there being a cgroup
    return json::to_text(control::to_json(confinement));
  };
  if (in_words(before.confinement) != in_words(now.confinement)) return true;
  return before.limits != now.limits || before.permissions.granted != now.permissions.granted;
}

config::PluginLimits limits_of(const trust::Manifest& manifest, const Permissions& permissions,
                               const config::PluginSettings& settings) {
  config::PluginLimits asked = manifest.limits;
  for (const auto& [kind, member] : {std::pair{Kind::Threads, &config::PluginLimits::threads},
                                     std::pair{Kind::State, &config::PluginLimits::disk_bytes}}) {
    const auto most = asked_by_permission(permissions, kind);
    if (most > 0) asked.*member = std::max(most, (asked.*member).value_or(0));
  }
  config::PluginLimits limits;
  for (const config::LimitRow& row : config::kLimitRows) {
    const auto& operators = settings.limits.*row.member;
    const auto& manifests = asked.*row.member;
    std::int64_t value = operators.value_or(manifests.value_or(row.usual));
    const bool none = row.least == 0 && value == 0;  // 0 stands for no limit
    if (operators && manifests && *manifests != 0) value = none ? *manifests : std::min(*operators, *manifests);
    limits.*row.member = std::clamp(value, row.least, row.most);
  }
  return limits;
}

std::string namespace_of(const std::string& vpn_instance) {
  std::error_code unknown;
  const bool is_one = !vpn_instance.empty() && fs::exists(fs::path("/run/netns") / vpn_instance, unknown);
  return is_one ? vpn_instance : "";
}

PluginPolicies::PluginPolicies(Loop& loop, fs::path state_dir, std::int64_t first_uid, Result<CgroupTree> cgroups,
                               ResourceWatch::OnOver on_over)
    : state_dir_(std::move(state_dir)),
      uids_(state_dir_, first_uid),
      cgroups_(cgroups ? std::optional(std::move(*cgroups)) : std::nullopt),
      why_no_cgroups_(cgroups_ ? "" : cgroups.error().message),
      watch_(loop, cgroups_ ? &*cgroups_ : nullptr, std::move(on_over)) {
  open_the_way(state_dir_);
  open_the_way(state_dir_ / "plugins");
}

Policy PluginPolicies::plan(const FoundPlugin& plugin, const config::PluginSettings& settings,
                            const std::string& network_namespace) {
  Policy policy;
  policy.permissions = permissions_of(*plugin.manifest, settings, state_folder(plugin.id));
  policy.limits = limits_of(*plugin.manifest, policy.permissions, settings);
  control::Confinement& confinement = policy.confinement;
  if (::geteuid() == 0) {
    const std::string closed = closed_folder_on_the_way(state_dir_);
    if (closed.empty()) confinement.uid = uids_.uid_of(plugin.id);
    if (!closed.empty())
      policy.missing.push_back("own uid: other users cannot pass " + closed + " on the way to the plugin's state folder; "
                               "run: chmod o+x " + closed);
    take_capabilities(policy.permissions, confinement);
  }
  confinement.gid = confinement.uid.value_or(0);
  confinement.paths = policy.permissions.paths;
  confinement.may_execute = policy.permissions.has(Kind::Exec);
  confinement.may_listen = policy.permissions.has(Kind::Listen);
  confinement.file_bytes = static_cast<std::uint64_t>(*policy.limits.disk_bytes);
  confinement.descriptors = static_cast<std::uint64_t>(*policy.limits.descriptors);
  confinement.address_space_bytes = static_cast<std::uint64_t>(*policy.limits.memory_bytes) + kAddressSpaceAllowance;
  confinement.threads = static_cast<std::uint64_t>(*policy.limits.threads);
  confinement.network_namespace = network_namespace;
  return policy;
}

const Policy& PluginPolicies::put_in_force(const FoundPlugin& plugin, const config::PluginSettings& settings,
                                           pid_t host, const std::string& network_namespace) {
  Policy policy = plan(plugin, settings, network_namespace);
  const auto ready = prepare_state_folder(state_folder(plugin.id), policy.confinement.uid);
  if (!ready) spdlog::error("{}: {}", plugin.id, ready.error().message);
  for (const auto& remark : policy.permissions.remarks) spdlog::warn("{}: {}", plugin.id, remark);
  if (cgroups_) {
    const auto admitted = cgroups_->admit(plugin.id, host, policy.limits);
    if (!admitted) policy.missing.push_back("cgroup: " + admitted.error().message);
    policy.cgroup = admitted.has_value();
  } else {
    policy.missing.push_back(why_no_cgroups_);
  }
  if (policy.cgroup) {  // what the kernel holds for the cgroup needs no rlimit
    policy.confinement.address_space_bytes = 0;
    policy.confinement.threads = 0;
  }
  const std::string file = settings.file.empty() ? "plugins.d/" + plugin.id + ".toml" : settings.file.string();
  watch_.watch(plugin.id, {host, policy.limits, plugin.manifest->limits, state_folder(plugin.id), file});
  return in_force_[plugin.id] = std::move(policy);
}

void PluginPolicies::host_ended(const std::string& plugin) {
  if (const auto found = in_force_.find(plugin); found != in_force_.end())
    found->second.isolation.reset(), found->second.pss_kib.reset();
  watch_.forget(plugin);
  if (cgroups_) cgroups_->remove(plugin);
}

void PluginPolicies::note_isolation(const std::string& plugin, control::Isolation isolation) {
  const auto found = in_force_.find(plugin);
  if (found == in_force_.end() || found->second.isolation) return;  // a plugin in that host could speak later
  const Policy& policy = found->second;
  isolation.cgroup = policy.cgroup;
  isolation.missing.insert(isolation.missing.end(), policy.missing.begin(), policy.missing.end());
  found->second.isolation = std::move(isolation);
}

std::optional<control::Isolation> PluginPolicies::isolation(const std::string& plugin) const {
  const Policy* policy = in_force(plugin);
  return policy ? policy->isolation : std::nullopt;
}

void PluginPolicies::note_pss(const std::string& plugin, std::int64_t kib) {
  const auto found = in_force_.find(plugin);
  if (found != in_force_.end()) found->second.pss_kib = kib;
}

std::optional<std::int64_t> PluginPolicies::pss_kib(const std::string& plugin) const {
  const Policy* policy = in_force(plugin);
  return policy ? policy->pss_kib : std::nullopt;
}

const Policy* PluginPolicies::in_force(const std::string& plugin) const {
  const auto found = in_force_.find(plugin);
  return found == in_force_.end() ? nullptr : &found->second;
}

}  // namespace hawser::supervisor
