#include "core/daemon/commands.hpp"

#include <algorithm>

#include "core/base/encoding.hpp"
#include "core/base/log.hpp"
#include "core/daemon/log_report.hpp"
#include "core/daemon/state_report.hpp"

namespace hawser::daemon {
namespace {

using control::Access;

constexpr std::size_t kUnbindingCodeLength = 8;  // sdk/protocol.md §4

Error bad_request(const std::string& what) { return {"bad_request", what}; }

bool is_unbinding_code(const std::string& code) {
  return code.size() == kUnbindingCodeLength &&
         std::all_of(code.begin(), code.end(), [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '2' && c <= '9'); });
}

}  // namespace

const Commands::Row* Commands::find_row(std::string_view name) {
  static constexpr Row kRows[] = {
      {"state", Access::View, &Commands::state, nullptr},
      {"history", Access::View, &Commands::history, nullptr},
      {"plugin_list", Access::View, &Commands::plugin_list, nullptr},
      {"plugin_show", Access::View, &Commands::plugin_show, nullptr},
      {"config_show", Access::View, &Commands::config_show, nullptr},
      {"version", Access::View, &Commands::version, nullptr},
      {"log", Access::Change, &Commands::log, nullptr},  // plugins write what they like there
      {"plugin_look", Access::Change, nullptr, &Commands::plugin_look},
      {"plugin_consent", Access::Change, nullptr, &Commands::plugin_consent},
      {"plugin_restart", Access::Change, nullptr, &Commands::plugin_restart},
      {"plugin_release", Access::Change, nullptr, &Commands::plugin_release},
      {"reset", Access::Change, &Commands::reset, nullptr},
      {"log_level", Access::Change, &Commands::log_level, nullptr},
      {"config_reload", Access::Change, nullptr, &Commands::config_reload},
      {"unbind", Access::Change, nullptr, &Commands::unbind},
      {"proof", Access::Change, &Commands::proof, nullptr},  // the device's signature is not for everyone's eyes
  };
  const auto* found =
      std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& row) { return row.name == name; });
  return found == std::end(kRows) ? nullptr : found;
}

void Commands::answer(const control::Request& request, const control::Reply& reply) {
  const Row* row = find_row(request.command);
  if (!row)
    return reply(Error{"unknown_command",
                       "\"" + printable(request.command, kNameShownMax) +
                           "\" is no command here; known are state, history, plugin_list, plugin_show, plugin_look, "
                           "plugin_consent, plugin_restart, plugin_release, reset, unbind, proof, config_reload, "
                           "config_show, log, log_level and version"});
  if (row->needs == Access::View) return reply((this->*row->now)(request.args));
  const std::string who =
      fmt::format("user {} (process {}, {})", request.uid, request.pid, control::process_name(request.pid));
  const auto logged = [reply, who, name = row->name](const Answer& result) {
    spdlog::info("{} by {}: {}", name, who, result ? "done" : result.error().message);
    reply(result);
  };
  if (request.access != Access::Change)
    return logged(Error{"not_permitted", std::string(row->name) + " is for root and the group hawser; user " +
                                             std::to_string(request.uid) + " is in hawser-view, which only looks"});
  if (row->now) return logged((this->*row->now)(request.args));
  (this->*row->later)(request.args, logged);
}

Commands::Answer Commands::state(const json::Object&) {
  auto state = state_report(house_.settings, snapshot_, house_.supervisor);
  const std::string& refused = house_.reloader.refused();
  state->set("site_profile", house_.cloud_plugins.profile_state());
  state->set("refused_config_detail", refused.empty() ? Poco::Dynamic::Var() : Poco::Dynamic::Var(refused));
  return state;
}

Commands::Answer Commands::history(const json::Object& args) {
  if (!args->has("limit")) return house_.history.last(History::kKeptMax);
  const auto limit = json::integer_member(args, "limit", 1, History::kKeptMax);
  if (!limit) return bad_request("args." + limit.error().message);
  return house_.history.last(static_cast<std::size_t>(*limit));
}

Commands::Answer Commands::plugin_list(const json::Object&) {
  auto plugins = json::make_array();
  for (const auto* plugin : house_.supervisor.plugins()) {
    auto entry = plugin_entry(*plugin, house_.supervisor);
    entry->set("cloud", house_.cloud_plugins.wish_for(plugin->id()));
    plugins->add(entry);
  }
  for (const auto& id : house_.cloud_plugins.kept_from_running()) plugins->add(house_.cloud_plugins.stopped_entry(id));
  auto answer = json::make_object();
  answer->set("plugins", plugins);
  answer->set("plugin_dir", house_.supervisor.plugin_dir().string());
  return answer;
}

Commands::Answer Commands::plugin_show(const json::Object& args) {
  const auto id = json::text_member(args, "plugin");
  if (!id) return bad_request("args.plugin must be the id of a plugin");
  const auto* plugin = house_.supervisor.find(*id);
  const auto stopped = house_.cloud_plugins.kept_from_running();
  if (!plugin && std::find(stopped.begin(), stopped.end(), *id) != stopped.end())
    return house_.cloud_plugins.stopped_entry(*id);
  if (!plugin)
    return Error{"not_found",
                 "no plugin \"" + printable(*id, kNameShownMax) + "\" is enabled; plugin list shows those that are"};
  auto details = plugin_details(*plugin, house_.supervisor);
  details->set("cloud", house_.cloud_plugins.wish_for(*id));
  return details;
}

void Commands::plugin_restart(const json::Object& args, const control::Reply& reply) {
  const auto id = json::text_member(args, "plugin");
  if (!id) return reply(bad_request("args.plugin must be the id of a plugin"));
  house_.supervisor.restart(
      *id, [reply](const Status& status) { reply(status ? Answer(json::make_object()) : Answer(status.error())); });
}

namespace {

json::Object released_answer(const std::vector<std::string>& ids) {
  auto released = json::make_array();
  for (const auto& id : ids) released->add(id);
  auto answer = json::make_object();
  answer->set("released", released);
  return answer;
}

}  // namespace

void Commands::plugin_release(const json::Object& args, const control::Reply& reply) {
  if (json::bool_or(args, "all", false)) return reply(released_answer(house_.supervisor.release_all()));
  const auto id = json::text_member(args, "plugin");
  if (!id) return reply(bad_request("args.plugin must be the id of a plugin, or args.all be true"));
  house_.supervisor.release(*id, [reply, id = *id](const Status& status) {
    reply(status ? Answer(released_answer({id})) : Answer(status.error()));
  });
}

Commands::Answer Commands::reset(const json::Object& args) {
  if (args->has("first") && !json::bool_member(args, "first")) return bad_request("args.first must be true or false");
  house_.connection.reset(json::bool_or(args, "first", false));
  house_.supervisor.network_changed(false);  // a service that waits by itself tries anew as well
  return json::make_object();
}

Commands::Answer Commands::proof(const json::Object& args) {
  const auto domain = json::text_member(args, "domain", 1, 255);
  if (!domain) return bad_request("args.domain must be the name of a server");
  const auto nonce = json::text_member(args, "nonce", 16, 128);
  if (!nonce) return bad_request("args.nonce must be what the server gave as Hawser-Nonce");
  const auto proof = house_.connection.make_proof(*domain, *nonce);
  if (!proof) return proof.error();
  auto answer = json::make_object();
  answer->set("proof", *proof);
  answer->set("serial", house_.settings.serial);
  answer->set("model", house_.settings.model);
  answer->set("agent", "hawser/" HAWSER_VERSION);
  return answer;
}

Commands::Answer Commands::log_level(const json::Object& args) {
  const auto level = json::text_member(args, "level");
  if (!level) return bad_request("args.level must be trace, debug, info, warn or error");
  if (const auto status = set_log_level(*level); !status) return status.error();
  auto answer = json::make_object();
  answer->set("level", *level);
  return answer;
}

Commands::Answer Commands::config_show(const json::Object&) { return config_report(house_.settings); }

Commands::Answer Commands::version(const json::Object&) {
  auto answer = json::make_object();
  answer->set("version", HAWSER_VERSION);
  answer->set("abi_major", static_cast<Poco::Int64>(trust::kAbiMajor));
  return answer;
}

Commands::Answer Commands::log(const json::Object&) { return log_report(); }

void Commands::plugin_look(const json::Object& args, const control::Reply& reply) {
  const auto id = json::text_member(args, "plugin");
  if (!id) return reply(bad_request("args.plugin must be the id of a plugin"));
  house_.supervisor.look(*id, reply);
}

void Commands::plugin_consent(const json::Object& args, const control::Reply& reply) {
  const auto id = json::text_member(args, "plugin");
  const auto version = json::text_member(args, "version");
  auto permissions = json::texts_member(args, "permissions", config::kPermissionsMax);
  if (!id || !version || !permissions)
    return reply(bad_request("args.plugin, args.version and args.permissions must say to what consent is given"));
  house_.supervisor.consent(*id, {*version, std::move(*permissions)}, reply);
}

void Commands::config_reload(const json::Object&, const control::Reply& reply) { house_.reloader.reload(reply); }

void Commands::unbind(const json::Object& args, const control::Reply& reply) {
  const std::string code = json::text_or(args, "code");
  if (!is_unbinding_code(code))
    return reply(bad_request("the unbinding code \"" + printable(code, kNameShownMax) +
                             "\" must be 8 of A-Z and 2-9, as the cloud showed it"));
  if (unbindings_.size() >= kUnbindingsMax)
    return reply(Error{"too_many_requests", "8 unbindings are under way already; wait for their answers"});
  const auto id = ++last_unbinding_;
  unbindings_[id] = reply;
  house_.connection.unbind(id, code);
}

}  // namespace hawser::daemon
