// What hosts ask of the core over the control channel. All of it is hostile data: a plugin lives in the host's process.
#include <algorithm>
#include <array>

#include "core/base/encoding.hpp"
#include "core/base/log.hpp"
#include "core/supervisor/supervisor.hpp"

namespace hawser::supervisor {
namespace {

// Kinds of sdk/protocol.md §4 that are a plugin's to report; the others are the core's own word.
constexpr std::array<std::string_view, 4> kPluginEventKinds = {"config", "threshold", "dropped", "service_state"};

json::Object typed(const char* type, const std::string& id) {
  auto message = json::make_object();
  message->set("type", type);
  message->set("id", id);
  return message;
}

json::Object action_done(const std::string& id, const ActionResult& result) {
  auto message = typed("action_done", id);
  if (result.exit_code) {
    message->set("exit_code", *result.exit_code);
  } else if (result.signal != 0) {
    message->set("exit_code", -result.signal);  // as plugin.h has it
  } else {
    message->set("exit_code", Poco::Dynamic::Var());
  }
  message->set("output_b64", base64(result.output));
  message->set("reason", result.reason);
  return message;
}

}  // namespace

void Supervisor::on_message(SupervisedPlugin& plugin, const std::string& type, const json::Object& message) {
  using Handler = void (Supervisor::*)(SupervisedPlugin&, const json::Object&);
  static constexpr std::pair<std::string_view, Handler> kHandlers[] = {
      {"subconnection", &Supervisor::on_subconnection},
      {"want_grants", &Supervisor::on_want_grants},
      {"action_run", &Supervisor::on_action_run},
      {"cloud_reach", &Supervisor::on_cloud_reach},
      {"event", &Supervisor::on_event},
      {"configured", &Supervisor::on_configured},
      {"confined", &Supervisor::on_confined},
      {"pong", &Supervisor::on_pong},
      {"metrics", &Supervisor::on_metrics},
  };
  for (const auto& [name, handler] : kHandlers) {
    if (name == type) return (this->*handler)(plugin, message);
  }
  plugin.refuse_word("a control message of unknown type \"" + printable(type, 32) + "\"");
}

void Supervisor::on_subconnection(SupervisedPlugin& plugin, const json::Object& message) {
  const std::string service = json::text_or(message, "service");
  if (!plugin.owns(service)) {
    return plugin.refuse_word("the state of a service that it does not have: \"" + printable(service, kReasonBytesMax) +
                              "\"");
  }
  Subconnection& row = *book_.find(service);
  const auto changed = book_.take(row, message);
  if (!changed) return plugin.refuse_word(changed.error().message);
  if (!*changed) return;
  static constexpr std::array<std::string_view, 4> kPassing = {"waiting_for_grant", "connecting", "draining",
                                                               "stopped"};
  const bool passing = std::find(kPassing.begin(), kPassing.end(), row.state) != kPassing.end();
  plugin.log_line(passing ? spdlog::level::debug : spdlog::level::info,
                  "subconnection " + service + " is " + row.state +
                      (row.failure_reason.empty() ? "" : " (" + row.failure_reason + ")"));
  if (passing) return;
  report(plugin,
         {"service_state", service, row.failure_reason, row.state + (row.detail.empty() ? "" : ": " + row.detail)});
}

void Supervisor::on_want_grants(SupervisedPlugin& plugin, const json::Object& message) {
  const std::string service = json::text_or(message, "service");
  if (!plugin.owns(service))
    return plugin.refuse_word("a wish for grants of a service that it does not have: \"" +
                              printable(service, kReasonBytesMax) + "\"");
  grants_.use_up(service);  // a host that starts now must not begin with it
  plugin.log_line(spdlog::level::debug, "asks for a new grant for " + service + ": " +
                                            printable(json::text_or(message, "why"), kReasonBytesMax));
  cloud_.request_grants();
}

void Supervisor::on_confined(SupervisedPlugin& plugin, const json::Object& message) {
  const auto member = json::object_member(message, "isolation");
  const auto isolation = member ? control::read_isolation(*member) : Result<control::Isolation>(member.error());
  if (!isolation) return plugin.log_line(spdlog::level::warn, "a wrong message confined: " + isolation.error().message);
  policies_.note_isolation(plugin.id(), *isolation);
  const auto now = policies_.isolation(plugin.id());
  std::string line = "isolation " + now->level();
  for (const auto& sentence : now->missing) line += "; without " + sentence;
  plugin.log_line(now->level() == "reduced" ? spdlog::level::warn : spdlog::level::info, line);
}

void Supervisor::on_pong(SupervisedPlugin& plugin, const json::Object& message) {
  if (const auto pss = json::integer_member(message, "pss_kib")) policies_.note_pss(plugin.id(), *pss);
}

void Supervisor::on_metrics(SupervisedPlugin& plugin, const json::Object& message) {
  if (const auto taken = metrics_.take(plugin.id(), message); !taken) plugin.refuse_word(taken.error().message);
}

void Supervisor::on_action_run(SupervisedPlugin& plugin, const json::Object& message) {
  const std::string id = json::text_or(message, "id");
  const std::string name = json::text_or(message, "name");
  const std::string shown = printable(name, kReasonBytesMax);
  const std::string file = "plugins.d/" + plugin.id() + ".toml";
  const auto& actions = plugin.settings().actions;
  const auto action = actions.find(name);
  const Policy* policy = policies_.in_force(plugin.id());
  ActionResult refused;
  if (action == actions.end()) {
    refused.reason = "did not start: no [actions." + shown + "] in " + file;
  } else if (!policy || !policy->permissions.may_run(name)) {
    refused.reason = "did not start: the plugin has no permission action:" + shown +
                     "; its manifest must ask for it, and permissions of " + file + " must not leave it out";
  }
  if (!refused.reason.empty()) return plugin.send(action_done(id, refused));
  // The command ends as it will; its result belongs to the instance that asked, and to no later one.
  actions_.run(plugin.id(), name, action->second,
               [this, plugin_id = plugin.id(), instance = plugin.instance(), id](const ActionResult& result) {
                 const auto asker = plugins_.find(plugin_id);  // it may be gone by now
                 if (asker != plugins_.end() && asker->second->instance() == instance)
                   asker->second->send(action_done(id, result));
               });
}

void Supervisor::on_cloud_reach(SupervisedPlugin& plugin, const json::Object& message) {
  const std::string id = json::text_or(message, "id");
  const auto answer = [&plugin, id](bool reached, const std::string& how) {
    auto reply = typed("cloud_reached", id);
    reply->set("ok", reached);
    reply->set("how", how);
    plugin.send(reply);
  };
  const milliseconds limit{
      std::clamp<std::int64_t>(json::integer_or(message, "timeout_ms", 0), 0, milliseconds(kReachLimitMax).count())};
  const auto opened = reaches_.open(plugin.id(), limit, answer);
  if (!opened) return answer(false, opened.error().code);
  cloud_.reach_cloud(*opened);
}

void Supervisor::on_event(SupervisedPlugin& plugin, const json::Object& message) {
  const std::string kind = json::text_or(message, "kind");
  const std::string service = json::text_or(message, "service");
  const bool known = std::find(kPluginEventKinds.begin(), kPluginEventKinds.end(), kind) != kPluginEventKinds.end();
  if (!known || (!service.empty() && !plugin.owns(service))) {
    return plugin.refuse_word("an event of kind \"" + printable(kind, 32) + "\" about \"" + printable(service, 32) +
                              "\", which is not its to report");
  }
  connection::Event event{kind, service, printable(json::text_or(message, "reason"), kReasonBytesMax),
                          printable(json::text_or(message, "detail"), kDetailBytesMax)};
  plugin.log_line(spdlog::level::info, "event " + kind + " " + event.reason + " " + event.detail);
  report(plugin, std::move(event));
}

void Supervisor::report(const SupervisedPlugin& plugin, connection::Event event) {
  auto& rate = event_rates_.at(plugin.id());
  if (!rate.allow(Clock::now())) return;  // else one plugin would push the others' events out of the queue
  if (const auto lost = rate.take_held_back())
    spdlog::warn("{}: {} events were not reported to the cloud, more than 30 a minute", plugin.id(), lost);
  cloud_.report(std::move(event));
}

}  // namespace hawser::supervisor
