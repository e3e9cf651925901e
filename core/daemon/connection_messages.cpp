// What the main connection tells the agent, on the loop's thread.
#include <algorithm>

#include "core/base/encoding.hpp"
#include "core/base/log.hpp"
#include "core/daemon/commands.hpp"
#include "core/daemon/service_manager.hpp"

namespace hawser::daemon {
namespace {

std::string in_words(const std::vector<json::Object>& grants, const std::vector<connection::Refusal>& refused) {
  std::string words;
  for (const auto& grant : grants)
    words += (words.empty() ? "granted " : ", ") + printable(json::text_or(grant, "service"), kNameShownMax);
  if (words.empty()) words = "nothing granted";
  for (const auto& refusal : refused)
    words += "; refused " + printable(refusal.service, kNameShownMax) + " (" +
             printable(refusal.reason, kNameShownMax) + ")";
  return words;
}

}  // namespace

void Commands::on_snapshot(connection::Snapshot snapshot) {
  const auto in_a_line = [](const connection::Snapshot& now) {
    return "STATUS=" + now.cloud_connection_state + (now.server_domain.empty() ? "" : ", " + now.server_domain) +
           (now.failure ? ": " + now.failure->code : "");
  };
  const std::string before = in_a_line(snapshot_);
  snapshot_ = std::move(snapshot);
  if (const std::string now = in_a_line(snapshot_); now != before) tell_service_manager(now);
}

void Commands::on_grants(std::vector<json::Object> grants, std::vector<connection::Refusal> refused) {
  for (const auto& refusal : refused)
    spdlog::warn("the cloud refuses the service {}: {}", printable(refusal.service), printable(refusal.reason));
  const std::string words = in_words(grants, refused);
  if (words != granted_) house_.history.add({"grants", "", refused.empty() ? "" : refused.front().reason, words});
  granted_ = words;
  house_.supervisor.set_grants(grants, refused);
}

void Commands::on_revoked(std::string service, std::string reason) {
  house_.history.add({"grants", service, reason, "revoked"});
  granted_.clear();
  house_.supervisor.revoke(service, reason);
}

void Commands::on_server_changed() {
  granted_.clear();
  house_.supervisor.server_changed();
}

void Commands::on_command(std::string id, std::string name, json::Object args) {
  spdlog::info("command of the cloud: {}", printable(name, kNameShownMax));
  if (!args) args = json::make_object();
  const auto reply = [this, id](Answer result) { house_.connection.command_result(id, std::move(result)); };
  const std::string plugin = json::text_or(args, "plugin");
  if (name == "state") return reply(state(args));
  if (name == "plugin_restart") return plugin_restart_by_cloud(args, reply);
  if (name == "plugin_enable") return house_.cloud_plugins.enable(plugin, reply);
  if (name == "plugin_disable") return house_.cloud_plugins.disable(plugin, reply);
  if (name == "plugin_install") return plugin_install(args, reply);
  if (name == "collect_bundle") return collect_bundle(args, reply);
  reply(Error{"unknown_command",
              "\"" + printable(name, kNameShownMax) +
                  "\" is no command of this version; known are state, plugin_enable, plugin_disable, plugin_restart, "
                  "plugin_install, collect_bundle and reconnect"});
}

void Commands::tell(const connection::Event& event) {
  house_.history.add(event);
  house_.connection.report(event);
}

void Commands::plugin_restart_by_cloud(const json::Object& args, const control::Reply& reply) {
  plugin_restart(args, [this, reply, plugin = json::text_or(args, "plugin")](const Answer& answer) {
    if (answer) tell({"plugin_state", "", "stopped_by_operator", plugin + " is restarted by the cloud"});
    reply(answer);
  });
}

void Commands::plugin_install(const json::Object& args, const control::Reply& reply) {
  if (!house_.settings.from_cloud)
    return reply(Error{"local_policy",
                       "plugins.from_cloud of the device is false, so the cloud installs nothing; set it to true in "
                       "hawser.toml, or install there: hawserctl plugin install FILE"});
  const std::string name = printable(json::text_or(args, "plugin"), kNameShownMax) + " " +
                           printable(json::text_or(args, "version"), kNameShownMax);
  house_.installs.run(args, [reply, name, this](Answer result) {
    tell({"plugin_state", "", result ? "" : result.error().code,
          result ? name + " was installed at the cloud's request"
                 : name + " was not installed at the cloud's request: " + result.error().message});
    reply(std::move(result));
  });
}

void Commands::collect_bundle(const json::Object& args, const control::Reply& reply) {
  house_.bundles.run(json::text_or(args, "url"), [reply, this](Answer result) {
    tell({"security", "", result ? "" : result.error().code,
          result ? "a bundle was uploaded at the cloud's request"
                 : "no bundle was uploaded at the cloud's request: " + result.error().message});
    reply(std::move(result));
  });
}

void Commands::on_site_profile(std::string id, config::SiteProfile profile) {
  house_.cloud_plugins.take(id, std::move(profile));
}

void Commands::on_event(connection::Event event) {
  spdlog::info("main connection: {} {} {}", event.kind, event.reason, event.detail);
  house_.history.add(event);
}

void Commands::on_unbind_result(std::uint64_t id, Status result) {
  if (result) {
    granted_.clear();
    house_.supervisor.unbound();
    house_.cloud_plugins.discard();
  }
  const auto waiting = unbindings_.extract(id);
  if (!waiting) return;
  waiting.mapped()(result ? Answer(json::make_object()) : Answer(result.error()));
}

void Commands::on_reached(std::uint64_t id, std::string how) { house_.supervisor.reached(id, how); }

void Commands::on_validity_floor(std::chrono::system_clock::time_point floor) {
  house_.history.set_validity_floor(floor);
  house_.supervisor.set_validity_floor(floor);
}

}  // namespace hawser::daemon
