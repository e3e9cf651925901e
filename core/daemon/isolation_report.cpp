#include "core/daemon/isolation_report.hpp"

namespace hawser::daemon {
namespace {

using Var = Poco::Dynamic::Var;

Var number(const std::optional<std::int64_t>& value) { return value ? Var(static_cast<Poco::Int64>(*value)) : Var(); }

json::Object limits_of(const config::PluginLimits& limits) {
  auto object = json::make_object();
  for (const config::LimitRow& row : config::kLimitRows) object->set(std::string(row.name), number(limits.*row.member));
  return object;
}

void set_permissions(json::Object entry, const supervisor::Permissions& permissions) {
  auto granted = json::make_object(), refused = json::make_object();
  for (const auto& outcome : permissions.outcomes)
    (outcome.granted ? granted : refused)->set(outcome.text, outcome.rule);
  entry->set("permissions_granted", granted);
  entry->set("permissions_refused", refused);
  auto remarks = json::make_array();
  for (const auto& remark : permissions.remarks) remarks->add(remark);
  entry->set("permissions_remarks", remarks);
}

json::Object usage_of(const supervisor::Usage& usage) {
  auto object = json::make_object();
  object->set("cpu_ms", number(usage.cpu_ms));
  object->set("memory_bytes", number(usage.memory_bytes));
  object->set("threads", number(usage.threads));
  object->set("disk_bytes", number(usage.disk_bytes));
  object->set("cpu_restrained", usage.cpu_restrained);
  return object;
}

}  // namespace

Var isolation_level(const supervisor::Supervisor& supervisor, const std::string& plugin) {
  const auto isolation = supervisor.policies().isolation(plugin);
  return isolation ? Var(isolation->level()) : Var();
}

void set_isolation(json::Object entry, const supervisor::Supervisor& supervisor, const std::string& plugin) {
  entry->set("isolation", isolation_level(supervisor, plugin));
  if (const auto isolation = supervisor.policies().isolation(plugin)) {
    entry->set("isolation_details", control::to_json(*isolation));
    auto missing = json::make_array();
    for (const auto& sentence : isolation->missing) missing->add(sentence);
    entry->set("isolation_missing", missing);
  }
  const supervisor::Policy* policy = supervisor.policies().in_force(plugin);
  if (!policy) return;
  set_permissions(entry, policy->permissions);
  entry->set("limits", limits_of(policy->limits));
  entry->set("uid", policy->confinement.uid ? number(*policy->confinement.uid) : Var());
  if (const auto usage = supervisor.policies().usage(plugin)) entry->set("usage", usage_of(*usage));
}

}  // namespace hawser::daemon
