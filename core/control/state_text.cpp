#include "core/control/state_text.hpp"

#include <algorithm>
#include <chrono>

#include "core/base/encoding.hpp"
#include "core/config/settings.hpp"
#include "core/control/reasons.hpp"
#include "core/control/text_layout.hpp"

namespace hawser::control {
namespace {

constexpr std::size_t kLabelColumns = 43;  // of the longest of the guide's labels
constexpr std::size_t kDetailBytesMax = 500;
constexpr std::size_t kUpgradeBytesMax = 1000;
constexpr std::chrono::seconds kClockSkewShown{300};  // less is no lie: NTP corrects it

enum class As { Plain, Time, Duration, Reason };

struct Line {
  const char* label;
  const char* key;
  As as;
};

constexpr Line kGuideLines[] = {
    {"Cloud connection state", "cloud_connection_state", As::Plain},
    {"Device state", "device_state", As::Plain},
    {"Cloud server address", "cloud_server_address", As::Plain},
    {"Cloud server domain name", "cloud_server_domain_name", As::Plain},
    {"Cloud connection mode", "cloud_connection_mode", As::Plain},
    {"Cloud server authentication port", "cloud_server_authentication_port", As::Plain},
    {"Cloud server connection port", "cloud_server_connection_port", As::Plain},
    {"Connected at", "connected_at", As::Time},
    {"Duration", "duration_s", As::Duration},
    {"Process state", "process_state", As::Plain},
    {"Failure reason", "failure_reason", As::Reason},
    {"Last down reason", "last_down_reason", As::Reason},
    {"Last down at", "last_down_at", As::Time},
    {"Last report failure reason", "last_report_failure_reason", As::Reason},
    {"Last report failure at", "last_report_failure_at", As::Time},
    {"Dropped packets after reaching buffer limit", "dropped_packets_after_reaching_buffer_limit", As::Plain},
    {"Total dropped packets", "total_dropped_packets", As::Plain},
    {"Last report incomplete reason", "last_report_incomplete_reason", As::Reason},
    {"Last report incomplete at", "last_report_incomplete_at", As::Time},
    {"Buffer full count", "buffer_full_count", As::Plain},
};

std::string line(const std::string& label, const std::string& value) {
  return label + std::string(kLabelColumns - std::min(kLabelColumns, columns(label)), ' ') + " : " + value + "\n";
}

// "socket connection error (Details:N/A)"; the detail stands beside it, with detail for reason.
std::string reason_text(const json::Object& object, const std::string& key) {
  const std::string reason = json::text_or(object, key);
  if (reason.empty()) return "N/A";
  const std::string stem = key.substr(0, key.rfind("reason"));
  std::string detail = json::text_or(object, stem + "detail");
  if (detail.empty()) detail = json::text_or(object, "detail");  // of a subconnection
  return printable(reason_in_words(reason), kDetailBytesMax) +
         " (Details:" + (detail.empty() ? "N/A" : printable(detail, kDetailBytesMax)) + ")";
}

std::string value_text(const json::Object& state, const Line& one) {
  const std::string key = one.key;
  switch (one.as) {
    case As::Plain:
      return member_text(state, key);
    case As::Time: {
      const std::string time = json::text_or(state, key);
      return time.empty() ? "N/A" : local_time(time);
    }
    case As::Duration: {
      const auto seconds = json::integer_member(state, key);
      return seconds ? duration(*seconds) : "N/A";
    }
    case As::Reason:
      return reason_text(state, key);
  }
  return "";
}

// "a.example:19443 (primary, dhcp, current): connection refused (Details:192.0.2.1), not before 12 s from now"
std::string server_text(const json::Object& server) {
  std::string text = member_text(server, "domain");
  if (server->has("port")) text += ":" + member_text(server, "port");
  std::string extra;
  const auto add = [&](const std::string& word) { extra += (extra.empty() ? "" : ", ") + word; };
  for (const char* key : {"role", "source"})
    if (const auto value = json::text_or(server, key); !value.empty()) add(printable(value));
  for (const auto& [key, name] : {std::pair("vpn_instance", "vpn-instance "), {"source_ip", "source-ip "}})
    if (const auto value = json::text_or(server, key); !value.empty()) add(name + printable(value));
  if (const auto ip = json::text_or(server, "ip_version"); ip == "4" || ip == "6") add("IPv" + ip);
  if (json::bool_or(server, "current", false)) add("current");
  if (!extra.empty()) text += " (" + extra + ")";
  if (!json::text_or(server, "failure_reason").empty()) text += ": " + reason_text(server, "failure_reason");
  if (const auto wait = json::integer_member(server, "retry_in_s"); wait && *wait > 0)
    text += ", asked again in " + std::to_string(*wait) + " s";
  return text;
}

std::string in_seconds(const json::Object& state, const char* key) {
  const auto seconds = json::integer_member(state, key);
  return seconds ? std::to_string(*seconds) + " s" : member_text(state, key);
}

// Nothing while the clock is good (conn-23).
std::string clock_lines(const json::Object& state) {
  std::string out;
  const auto ahead = json::integer_member(state, "clock_ahead_s", -json::kIntegerMax);
  if (json::bool_or(state, "clock_floor_used", false))
    out += line("Certificates", "checked against the build time or the cloud's last time, because the clock is behind");
  if (ahead && *ahead >= kClockSkewShown.count())
    out += line("Clock", duration(*ahead) + " ahead of the cloud's: set it, or valid certificates look expired");
  if (ahead && *ahead <= -kClockSkewShown.count())
    out += line("Clock", duration(-*ahead) + " behind the cloud's: set it");
  return out;
}

// Nothing while the configuration on disk is the one in force, or has not been read (ops-5).
std::string config_line(const json::Object& state) {
  const std::string refused = json::text_or(state, "refused_config_detail");
  if (refused.empty()) return "";
  const auto end = refused.find('\n');
  return line("Configuration", "the one on disk is refused, the old one goes on running: " + refused.substr(0, end) +
                                   (end == refused.npos ? "" : " (and more)") +
                                   "; mend it, then run: hawserctl config reload");
}

template <typename Each>
void for_each_object(const json::Object& object, const std::string& name, Each each) {
  const auto array = json::array_member(object, name);
  for (std::size_t i = 0; array && i < (*array)->size(); ++i)
    if (const auto one = json::object_at(*array, i)) each(*one);
}

std::int64_t sum(const json::Object& counters) {
  std::int64_t all = 0;
  for (const auto& [name, value] : *counters)
    if (value.isInteger()) all += value.convert<Poco::Int64>();
  return all;
}

std::string subconnections_text(const json::Object& state, std::size_t width) {
  TextTable table({"Service", "State", "Since", "Sent", "Queued", "Dropped", "Reconnects", "Failure reason"});
  bool any = false;
  for_each_object(state, "subconnections", [&](const json::Object& one) {
    const std::string since = json::text_or(one, "since");
    const auto dropped = json::object_member(one, "dropped");
    table.add({member_text(one, "service"), member_text(one, "state"), since.empty() ? "N/A" : local_time(since),
               member_text(one, "sent_messages"), member_text(one, "queued_messages"),
               dropped ? std::to_string(sum(*dropped)) : "N/A", member_text(one, "reconnects"),
               reason_text(one, "failure_reason")});
    any = true;
  });
  return any ? table.text(width) : "No subconnections.\n";
}

// "monitoring, log_upload"
std::string list_text(const json::Object& object, const std::string& name) {
  const auto list = json::array_member(object, name);
  std::string text;
  for (std::size_t i = 0; list && i < (*list)->size(); ++i)
    text += (i == 0 ? "" : ", ") + printable((*list)->get(static_cast<unsigned>(i)).toString());
  return text.empty() ? "N/A" : text;
}

std::string plugin_value(const json::Object& plugin, const std::string& name) {
  if (plugin->isArray(name)) return list_text(plugin, name);
  if (!plugin->isObject(name)) return member_text(plugin, name);
  std::string text;
  const auto object = plugin->getObject(name);
  for (const auto& [key, value] : *object)
    text += (text.empty() ? "" : ", ") + printable(key, 64) + " " + member_text(object, key);
  return text.empty() ? "N/A" : text;
}

// One of the plugin's own: tank.depth{tank=left} 2.5 m
std::string figure_text(const json::Object& metric) {
  std::string attributes;
  if (const auto object = metric->getObject("attributes")) {
    for (const auto& [key, value] : *object)
      attributes += (attributes.empty() ? "" : ",") + printable(key, 64) + "=" + member_text(object, key);
  }
  std::string text = member_text(metric, "name");
  if (!attributes.empty()) text += "{" + attributes + "}";
  text += " " + member_text(metric, "value");
  const std::string unit = json::text_or(metric, "unit");
  return unit.empty() ? text : text + " " + printable(unit);
}

}  // namespace

std::string guide_text(const json::Object& state) {
  std::string out;
  for (const Line& one : kGuideLines) out += line(one.label, value_text(state, one));
  return out;
}

std::string history_text(const json::Array& events, std::size_t width) {
  if (events->size() == 0) return "Nothing has happened yet.\n";
  TextTable table({"Time", "Kind", "Service", "Reason", "Detail"});
  for (std::size_t i = 0; i < events->size(); ++i) {
    const auto one = json::object_at(events, i);
    if (!one) continue;
    const std::string at = json::text_or(*one, "at");
    const auto uptime = json::integer_member(*one, "uptime_ms");
    std::string time = at.empty() ? "N/A" : local_time(at);
    if (at.empty() && uptime) time = "clock unset, up " + duration(*uptime / 1000);
    table.add({time, json::text_or(*one, "kind"), json::text_or(*one, "service"),
               reason_in_words(json::text_or(*one, "reason")), json::text_or(*one, "detail")});
  }
  return table.text(width);
}

namespace {

// "revision 7, 2 plugins; acme.shell is stopped (disabled by the site profile)"
std::string profile_line(const json::Object& state) {
  const auto profile = json::object_member(state, "site_profile");
  if (!profile) return "";
  std::string text = "revision " + member_text(*profile, "revision");
  for_each_object(*profile, "plugins", [&](const json::Object& plugin) {
    const std::string reason = json::text_or(plugin, "reason");
    text += "; " + member_text(plugin, "id") + " is " + member_text(plugin, "state") +
            (reason.empty() ? "" : " (" + reason_in_words(reason) + ")");
  });
  return line("Site profile", printable(text, kUpgradeBytesMax));
}

}  // namespace

std::string state_text(const json::Object& state, std::size_t width) {
  std::string out = guide_text(state) + "\n";
  if (const std::string why = json::text_or(state, "safe_mode"); !why.empty())
    out += line("SAFE MODE", printable(why, 512));
  if (json::bool_or(state, "development_mode", false)) out += line("DEVELOPMENT MODE", config::kDevelopmentModeWords);
  std::size_t number = 0;
  for_each_object(state, "servers", [&](const json::Object& server) {
    out += line("Server " + std::to_string(++number), server_text(server));
  });
  out += line("Next attempt in", in_seconds(state, "next_attempt_in_s"));
  out += line("Backoff", in_seconds(state, "backoff_s"));
  out += clock_lines(state) + config_line(state);
  out += line("Serial number", member_text(state, "serial"));
  out += line("Site", member_text(state, "site")) + profile_line(state);
  return out + "\n" + subconnections_text(state, width);
}

namespace {

// Why it does not run, or why its newest version does not.
std::string why_text(const json::Object& plugin) {
  const auto upgrade = json::object_member(plugin, "upgrade");
  const bool has_reason = !json::text_or(plugin, "reason").empty();
  return upgrade && !has_reason ? printable(json::text_or(*upgrade, "detail"), kUpgradeBytesMax)
                                : reason_text(plugin, "reason");
}

}  // namespace

std::string plugin_list_text(const json::Array& plugins, std::size_t width) {
  if (plugins->size() == 0) return "No plugins.\n";
  TextTable table({"Plugin", "Version", "State", "PID", "Restarts", "Services", "Reason"});
  for (std::size_t i = 0; i < plugins->size(); ++i) {
    const auto one = json::object_at(plugins, i);
    if (!one) continue;
    table.add({member_text(*one, "id"), member_text(*one, "version"), member_text(*one, "state"),
               member_text(*one, "pid"), member_text(*one, "restarts"), list_text(*one, "services"), why_text(*one)});
  }
  return table.text(width);
}

std::string plugin_text(const json::Object& plugin) {
  constexpr std::pair<const char*, const char*> kRows[] = {{"Plugin", "id"},
                                                           {"Version", "version"},
                                                           {"State", "state"},
                                                           {"PID", "pid"},
                                                           {"Restarts", "restarts"},
                                                           {"Messages refused", "refused_messages"},
                                                           {"Callback overdue", "overrun"},
                                                           {"Callbacks overdue", "overruns"},
                                                           {"Services", "services"},
                                                           {"Library", "library"},
                                                           {"Digest", "digest"},
                                                           {"Signed by key", "signed_by"},
                                                           {"Instance", "instance"},
                                                           {"Configuration file", "config_file"},
                                                           {"Actions", "actions"},
                                                           {"Permissions asked", "permissions_asked"},
                                                           {"Limits asked", "limits_asked"},
                                                           {"Granted", "permissions_granted"},
                                                           {"Not granted", "permissions_refused"},
                                                           {"Not asked for", "permissions_remarks"},
                                                           {"Limits in force", "limits"},
                                                           {"In use", "usage"},
                                                           {"User id", "uid"},
                                                           {"Isolation", "isolation"},
                                                           {"Missing walls", "isolation_missing"}};
  constexpr std::size_t kColumns = 18;  // of the longest label
  std::string out;
  const auto put = [&](const std::string& label, const std::string& value) {
    out += label + std::string(kColumns - label.size(), ' ') + " : " + value + "\n";
  };
  for (const auto& [label, key] : kRows)
    if (plugin->has(key)) put(label, plugin_value(plugin, key));
  for_each_object(plugin, "metrics", [&](const json::Object& metric) { put("Figure", figure_text(metric)); });
  if (const auto upgrade = json::object_member(plugin, "upgrade"))
    put("Upgrade", printable(json::text_or(*upgrade, "detail"), kUpgradeBytesMax));
  if (const auto cloud = json::object_member(plugin, "cloud"))
    put("Cloud", printable(json::text_or(*cloud, "detail"), kUpgradeBytesMax));
  put("Reason", reason_text(plugin, "reason"));
  return out;
}

}  // namespace hawser::control
