#include "core/daemon/state_report.hpp"

#include <algorithm>

#include "core/base/rfc3339.hpp"
#include "core/daemon/isolation_report.hpp"
#include "core/daemon/process_usage.hpp"

namespace hawser::daemon {
namespace {

using Var = Poco::Dynamic::Var;
using std::chrono::milliseconds;

Var text_or_null(const std::string& text) { return text.empty() ? Var() : Var(text); }
Var number(std::int64_t value) { return Var(static_cast<Poco::Int64>(value)); }
Var number_or_null(const std::optional<std::int64_t>& value) { return value ? number(*value) : Var(); }
Var port_or_null(std::uint16_t port) { return port == 0 ? Var() : number(port); }
Var time_or_null(const std::optional<std::chrono::system_clock::time_point>& time) {
  return time ? Var(rfc3339(*time)) : Var();
}

std::int64_t sum_of(std::int64_t hosts, std::uint64_t reports) {
  const auto own = static_cast<std::int64_t>(std::min<std::uint64_t>(reports, json::kIntegerMax));
  return std::min(hosts + own, json::kIntegerMax);
}

void set_reason(json::Object object, const std::string& stem, const std::optional<Error>& reason) {
  object->set(stem + "_reason", reason ? text_or_null(reason->code) : Var());
  object->set(stem + "_detail", reason ? text_or_null(reason->message) : Var());
}

// The guide's lines, in its order.
void set_guide_lines(json::Object state, const connection::Snapshot& now, const supervisor::SubconnectionBook& book) {
  state->set("cloud_connection_state", now.cloud_connection_state);
  state->set("device_state", now.device_state);
  state->set("cloud_server_address", text_or_null(now.server_address));
  state->set("cloud_server_domain_name", text_or_null(now.server_domain));
  state->set("cloud_connection_mode", "Https");
  state->set("cloud_server_authentication_port", port_or_null(now.authentication_port));
  state->set("cloud_server_connection_port", port_or_null(now.connection_port));
  state->set("connected_at", time_or_null(now.connected_at));
  const auto since = now.connected_since;
  state->set("duration_s",
             since ? number(std::chrono::floor<std::chrono::seconds>(Clock::now() - *since).count()) : Var());
  state->set("process_state", now.process_state);
  set_reason(state, "failure", now.failure);
  set_reason(state, "last_down", now.last_down);
  state->set("last_down_at", time_or_null(now.last_down_at));
  set_reason(state, "last_report_failure", now.last_report_failure);
  state->set("last_report_failure_at", time_or_null(now.last_report_failure_at));
  state->set("dropped_packets_after_reaching_buffer_limit",
             number(sum_of(book.dropped_at_limit(), now.reports_dropped)));
  state->set("total_dropped_packets", number(sum_of(book.dropped(), now.reports_dropped + now.reports_unbound)));
  set_reason(state, "last_report_incomplete", now.last_report_incomplete);
  state->set("last_report_incomplete_at", time_or_null(now.last_report_incomplete_at));
  state->set("buffer_full_count", number(sum_of(book.buffer_full(), now.report_queue_full_count)));
}

const char* name_of(IpVersion version) {
  return version == IpVersion::V4 ? "4" : version == IpVersion::V6 ? "6" : "any";
}

json::Array servers_of(const connection::Snapshot& snapshot) {
  auto servers = json::make_array();
  for (const auto& server : snapshot.servers) {
    const auto& target = server.target;
    auto entry = json::make_object();
    entry->set("domain", target.domain);
    entry->set("port", static_cast<int>(target.port));
    entry->set("role", target.primary ? "primary" : "backup");
    entry->set("source", target.source == connection::Target::Source::Dhcp ? "dhcp" : "config");
    entry->set("vpn_instance", text_or_null(target.binding.vpn_instance));
    entry->set("source_ip", text_or_null(target.binding.source_ip));
    entry->set("ip_version", name_of(target.binding.ip_version));
    entry->set("current", server.current);
    set_reason(entry, "failure", server.failure);
    const auto wait = server.not_before ? *server.not_before - Clock::now() : Clock::duration::zero();
    entry->set("retry_in_s",
               wait > Clock::duration::zero() ? number(std::chrono::ceil<std::chrono::seconds>(wait).count()) : Var());
    servers->add(entry);
  }
  return servers;
}

// The callback that is over its budget just now.
Var overrun_of(const supervisor::SupervisedPlugin& plugin) {
  const auto overrun = plugin.watch() ? plugin.watch()->overrun() : std::nullopt;
  if (!overrun) return {};
  auto entry = json::make_object();
  entry->set("callback", overrun->callback);
  entry->set("for_ms", number(overrun->time.count()));
  return entry;
}

json::Object subconnection_entry(const supervisor::Subconnection& row, const supervisor::Supervisor& supervisor) {
  const supervisor::SupervisedPlugin* plugin = supervisor.find(row.plugin);
  auto entry = json::make_object();
  entry->set("service", row.service);
  entry->set("plugin", row.plugin);
  entry->set("state", row.state);
  entry->set("since", row.since);
  entry->set("url", text_or_null(row.url));
  entry->set("failure_reason", text_or_null(row.failure_reason));
  entry->set("failure_detail", text_or_null(row.detail));
  entry->set("reconnects", number(row.reconnects.total()));
  entry->set("sent_messages", number(row.sent_messages.total()));
  entry->set("sent_bytes", number(row.sent_bytes.total()));
  entry->set("queued_messages", number_or_null(row.queued_messages));
  entry->set("queued_bytes", number_or_null(row.queued_bytes));
  entry->set("spooled_bytes", number_or_null(row.spooled_bytes));
  auto dropped = json::make_object();
  for (const auto& [reason, count] : row.dropped) dropped->set(reason, number(count.total()));
  entry->set("dropped", dropped);
  entry->set("buffer_full_count", number(row.buffer_full.total()));
  entry->set("acked_seq", number_or_null(row.acked_seq));
  entry->set("rtt_ms", number_or_null(row.rtt_ms));
  const auto pid = plugin ? plugin->pid() : std::nullopt;
  const ProcessUsage usage = pid ? usage_of(*pid) : ProcessUsage{};
  entry->set("host_pid", pid ? number(*pid) : Var());
  entry->set("isolation", isolation_level(supervisor, row.plugin));
  entry->set("cpu_ms", number_or_null(usage.cpu_ms));
  // A host of another user tells its share by itself.
  entry->set("pss_kib", number_or_null(usage.pss_kib ? usage.pss_kib : supervisor.policies().pss_kib(row.plugin)));
  entry->set("restarts", plugin ? number(plugin->restarts()) : Var());
  const bool isolated = plugin && plugin->state() == supervisor::PluginState::Quarantined;
  entry->set("quarantine", isolated ? text_or_null(plugin->reason().message) : Var());
  entry->set("overrun", plugin ? overrun_of(*plugin) : Var());
  return entry;
}

}  // namespace

json::Object state_report(const config::Settings& settings, const connection::Snapshot& snapshot,
                          const supervisor::Supervisor& supervisor) {
  auto state = json::make_object();
  set_guide_lines(state, snapshot, supervisor.subconnections());
  state->set("servers", servers_of(snapshot));
  const auto next = snapshot.next_attempt_at;
  const auto left = next ? std::chrono::ceil<std::chrono::seconds>(*next - Clock::now()).count() : 0;
  state->set("next_attempt_in_s", next ? number(std::max<std::int64_t>(left, 0)) : Var());
  state->set("backoff_s", number(std::chrono::ceil<std::chrono::seconds>(snapshot.backoff).count()));
  state->set("clock_floor_used", snapshot.clock_floor_used);
  state->set("clock_ahead_s", snapshot.clock_ahead ? number(snapshot.clock_ahead->count()) : Var());
  state->set("serial", settings.serial);
  state->set("site", text_or_null(settings.site));
  const auto& held = supervisor.safe_mode();
  state->set("safe_mode", held ? text_or_null(held->message) : Var());
  state->set("development_mode", supervisor.development_mode());
  auto subconnections = json::make_array();
  for (const auto& [service, row] : supervisor.subconnections().rows())
    subconnections->add(subconnection_entry(row, supervisor));
  state->set("subconnections", subconnections);
  return state;
}

namespace {

// Of a newer version: that it is on probation, or why it does not run, and to what consent would have to be given.
Var upgrade_of(const supervisor::SupervisedPlugin& plugin, const supervisor::Supervisor& supervisor) {
  auto entry = json::make_object();
  const auto* asked = supervisor.consent_asked(plugin.id());
  const auto* waiting = supervisor.waiting(plugin.id());
  if (!waiting && asked && plugin.found().refusal) waiting = &*plugin.found().refusal;
  if (waiting) {
    entry->set("state", waiting->code);
    entry->set("detail", waiting->message);
  }
  if (waiting && asked) {
    auto permissions = json::make_array();
    for (const auto& permission : asked->permissions) permissions->add(permission);
    entry->set("version", asked->version);
    entry->set("permissions", permissions);
  }
  if (waiting) return entry;
  const auto* known = supervisor.versions().find(plugin.id());
  if (!known || !supervisor.versions().on_trial(plugin.found())) return {};
  entry->set("state", "probation");
  entry->set("detail",
             plugin.found().version + " is on probation; " + known->settled.version + " comes back should it fail");
  return entry;
}

}  // namespace

json::Object plugin_entry(const supervisor::SupervisedPlugin& plugin, const supervisor::Supervisor& supervisor) {
  auto entry = json::make_object();
  entry->set("id", plugin.id());
  entry->set("version", text_or_null(plugin.found().version));
  entry->set("state", std::string(name_of(plugin.state())));
  entry->set("reason", text_or_null(plugin.reason().code));
  entry->set("detail", text_or_null(plugin.reason().message));
  entry->set("pid", plugin.pid() ? number(*plugin.pid()) : Var());
  entry->set("restarts", plugin.restarts());
  entry->set("overrun", overrun_of(plugin));
  entry->set("refused_messages", number(static_cast<std::int64_t>(plugin.lies())));
  entry->set("overruns", plugin.watch() ? number(static_cast<std::int64_t>(plugin.watch()->overruns())) : Var());
  auto services = json::make_array();
  if (plugin.found().manifest) {
    for (const auto& service : plugin.found().manifest->services) services->add(service.name);
  }
  entry->set("services", services);
  entry->set("upgrade", upgrade_of(plugin, supervisor));
  return entry;
}

namespace {

// The plugin's own figures.
json::Array metrics_of(const std::vector<supervisor::PluginMetric>& metrics) {
  auto list = json::make_array();
  for (const auto& metric : metrics) {
    auto entry = json::make_object();
    entry->set("name", metric.name);
    entry->set("kind", metric.counter ? "counter" : "gauge");
    entry->set("unit", metric.unit);
    entry->set("value", metric.value);
    auto attributes = json::make_object();
    for (const auto& [name, value] : metric.attributes) attributes->set(name, value);
    entry->set("attributes", attributes);
    list->add(entry);
  }
  return list;
}

}  // namespace

json::Object plugin_details(const supervisor::SupervisedPlugin& plugin, const supervisor::Supervisor& supervisor) {
  auto entry = plugin_entry(plugin, supervisor);
  entry->set("library", text_or_null(plugin.found().library.string()));
  entry->set("digest", text_or_null(plugin.found().digest));
  entry->set("signed_by", text_or_null(plugin.found().signed_by));
  entry->set("instance", text_or_null(plugin.instance()));
  entry->set("config_file", text_or_null(plugin.settings().file.string()));
  auto actions = json::make_array();
  for (const auto& [name, action] : plugin.settings().actions) actions->add(name);
  entry->set("actions", actions);
  auto permissions = json::make_array();
  auto limits = json::make_object();
  if (const auto& manifest = plugin.found().manifest) {
    for (const auto& permission : manifest->permissions) permissions->add(permission.text());
    for (const config::LimitRow& row : config::kLimitRows) {
      if (const auto& value = manifest->limits.*row.member) limits->set(std::string(row.name), number(*value));
    }
  }
  entry->set("permissions_asked", permissions);
  entry->set("limits_asked", limits);
  entry->set("metrics", metrics_of(supervisor.metrics().of(plugin.id())));
  set_isolation(entry, supervisor, plugin.id());
  return entry;
}

}  // namespace hawser::daemon
