#include "core/daemon/commands.hpp"

#include "core/base/encoding.hpp"
#include "core/base/log.hpp"
#include "core/daemon/state_report.hpp"

namespace hawser::daemon {
namespace {

constexpr std::size_t kNameShownMax = 64;

Error unknown(const std::string& name, const char* known) {
  return {"unknown_command", "\"" + printable(name, kNameShownMax) + "\" is no command here; known are " + known};
}

}  // namespace

void Commands::answer(const control::Request& request, const control::Reply& reply) {
  const auto result = run(request.command, request.args);
  static constexpr const char* kChanges[] = {"plugin_restart", "reset", "log_level"};
  for (const char* change : kChanges) {
    if (request.command == change)
      spdlog::info("{} by user {} (process {}): {}", change, request.uid, request.pid,
                   result ? "done" : result.error().message);
  }
  reply(result);
}

Commands::Answer Commands::run(const std::string& name, const json::Object& args) {
  using Handler = Answer (Commands::*)(const json::Object&);
  static constexpr std::pair<std::string_view, Handler> kHandlers[] = {
      {"state", &Commands::state},
      {"plugin_list", &Commands::plugin_list},
      {"plugin_show", &Commands::plugin_show},
      {"plugin_restart", &Commands::plugin_restart},
      {"reset", &Commands::reset},
      {"log_level", &Commands::log_level},
      {"config_show", &Commands::config_show},
      {"version", &Commands::version},
  };
  for (const auto& [known, handler] : kHandlers) {
    if (known == name) return (this->*handler)(args);
  }
  return unknown(name, "state, plugin_list, plugin_show, plugin_restart, reset, log_level, config_show and version");
}

Commands::Answer Commands::state(const json::Object&) { return state_report(settings_, snapshot_, supervisor_); }

Commands::Answer Commands::plugin_list(const json::Object&) {
  auto plugins = json::make_array();
  for (const auto* plugin : supervisor_.plugins()) plugins->add(plugin_entry(*plugin));
  auto answer = json::make_object();
  answer->set("plugins", plugins);
  return answer;
}

Commands::Answer Commands::plugin_show(const json::Object& args) {
  const auto id = json::text_member(args, "plugin");
  if (!id) return Error{"bad_request", "args.plugin must be the id of a plugin"};
  const auto* plugin = supervisor_.find(*id);
  if (!plugin)
    return Error{"not_found",
                 "no plugin \"" + printable(*id, kNameShownMax) + "\" is enabled; plugin list shows those that are"};
  return plugin_details(*plugin);
}

Commands::Answer Commands::plugin_restart(const json::Object& args) {
  const auto id = json::text_member(args, "plugin");
  if (!id) return Error{"bad_request", "args.plugin must be the id of a plugin"};
  if (const auto status = supervisor_.restart(*id); !status) return status.error();
  return json::make_object();
}

Commands::Answer Commands::reset(const json::Object&) {
  connection_.reset();
  return json::make_object();
}

Commands::Answer Commands::log_level(const json::Object& args) {
  const auto level = json::text_member(args, "level");
  if (!level) return Error{"bad_request", "args.level must be trace, debug, info, warn or error"};
  if (const auto status = set_log_level(*level); !status) return status.error();
  auto answer = json::make_object();
  answer->set("level", *level);
  return answer;
}

Commands::Answer Commands::config_show(const json::Object&) { return config_report(settings_); }

Commands::Answer Commands::version(const json::Object&) {
  auto answer = json::make_object();
  answer->set("version", HAWSER_VERSION);
  answer->set("abi_major", static_cast<Poco::Int64>(supervisor::kAbiMajor));
  return answer;
}

void Commands::on_snapshot(connection::Snapshot snapshot) { snapshot_ = std::move(snapshot); }

void Commands::on_grants(std::vector<json::Object> grants, std::vector<connection::Refusal> refused) {
  for (const auto& refusal : refused)
    spdlog::warn("the cloud refuses the service {}: {}", printable(refusal.service), printable(refusal.reason));
  supervisor_.set_grants(grants, refused);
}

void Commands::on_revoked(std::string service, std::string reason) { supervisor_.revoke(service, reason); }

void Commands::on_server_changed() { supervisor_.server_changed(); }

void Commands::on_command(std::string id, std::string name, json::Object args) {
  spdlog::info("command of the cloud: {}", printable(name, kNameShownMax));
  if (!args) args = json::make_object();
  const bool known = name == "state" || name == "plugin_restart";
  connection_.command_result(std::move(id), known ? run(name, args) : unknown(name, "state and plugin_restart"));
}

void Commands::on_event(connection::Event event) {
  spdlog::info("main connection: {} {} {}", event.kind, event.reason, event.detail);
}

void Commands::on_reached(std::uint64_t id, std::string how) { supervisor_.reached(id, how); }

void Commands::on_validity_floor(std::chrono::system_clock::time_point floor) { supervisor_.set_validity_floor(floor); }

}  // namespace hawser::daemon
