#include "core/control/ctl_commands.hpp"

#include "core/base/encoding.hpp"
#include "core/config/load.hpp"
#include "core/control/control_client.hpp"
#include "core/control/state_text.hpp"

namespace hawser::control {
namespace {

constexpr std::size_t kMessageBytesMax = 2000;

CtlOutcome failed(const CtlOptions& options, const Error& error) {
  CtlOutcome outcome;
  outcome.exit = error.code == "not_running" ? CtlExit::NotRunning : CtlExit::Failed;
  outcome.err = "hawserctl: " + printable(error.message, kMessageBytesMax) + "\n";
  if (options.json) {
    auto detail = json::make_object();
    detail->set("code", error.code);
    detail->set("message", error.message);
    auto answer = json::make_object();
    answer->set("error", detail);
    outcome.out = json::to_text(answer) + "\n";
  }
  return outcome;
}

Result<json::Object> ask(const CtlOptions& options, const std::string& command,
                         const json::Object& args = json::make_object()) {
  auto client = ControlClient::connect(options.socket);
  if (!client) return client.error();
  return client->call(command, args);
}

CtlOutcome done(const CtlOptions& options, const json::Object& result, const std::string& text) {
  return {CtlExit::Done, options.json ? json::to_text(result) + "\n" : text, ""};
}

json::Object one_argument(const std::string& name, const std::string& value) {
  auto args = json::make_object();
  args->set(name, value);
  return args;
}

json::Array texts(const std::vector<std::string>& lines) {
  auto array = json::make_array();
  for (const auto& line : lines) array->add(line);
  return array;
}

}  // namespace

CtlOutcome show_state(const CtlOptions& options) {
  const auto state = ask(options, "state");
  return state ? done(options, *state, state_text(*state, options.width)) : failed(options, state.error());
}

CtlOutcome list_plugins(const CtlOptions& options) {
  const auto all = ask(options, "plugin_list");
  if (!all) return failed(options, all.error());
  const auto plugins = json::array_member(*all, "plugins");
  if (!plugins) return failed(options, {"bad_response", "the agent's answer: " + plugins.error().message});
  return done(options, *all, plugin_list_text(*plugins, options.width));
}

CtlOutcome show_plugin(const CtlOptions& options, const std::string& id) {
  const auto plugin = ask(options, "plugin_show", one_argument("plugin", id));
  return plugin ? done(options, *plugin, plugin_text(*plugin)) : failed(options, plugin.error());
}

CtlOutcome restart_plugin(const CtlOptions& options, const std::string& id) {
  const auto result = ask(options, "plugin_restart", one_argument("plugin", id));
  return result ? done(options, *result, "Plugin " + printable(id) + " is being restarted.\n")
                : failed(options, result.error());
}

CtlOutcome reset_connection(const CtlOptions& options) {
  const auto result = ask(options, "reset");
  return result ? done(options, *result, "The cloud connection is being established anew.\n")
                : failed(options, result.error());
}

CtlOutcome check_config(const CtlOptions& options) {
  const auto loaded = config::load(options.config_dir);
  CtlOutcome outcome;
  if (!loaded.settings) outcome.exit = CtlExit::Failed;
  if (options.json) {
    auto answer = json::make_object();
    answer->set("ok", loaded.settings.has_value());
    answer->set("faults", texts(loaded.faults));
    answer->set("warnings", texts(loaded.warnings));
    outcome.out = json::to_text(answer) + "\n";
    return outcome;
  }
  for (const auto& fault : loaded.faults) outcome.out += fault + "\n";
  for (const auto& warning : loaded.warnings) outcome.out += warning + " (a warning)\n";
  const std::size_t count = loaded.faults.size();
  const std::string where = printable(options.config_dir.string(), kMessageBytesMax);
  if (count == 0) outcome.out += "The configuration in " + where + " is good.\n";
  if (count > 0)
    outcome.err = "hawserctl: " + std::to_string(count) + (count == 1 ? " fault in " : " faults in ") + where + "\n";
  return outcome;
}

CtlOutcome show_config(const CtlOptions& options) {
  const auto result = ask(options, "config_show");
  return result ? done(options, *result, flat_text(*result)) : failed(options, result.error());
}

CtlOutcome set_level(const CtlOptions& options, const std::string& level) {
  const auto result = ask(options, "log_level", one_argument("level", level));
  return result ? done(options, *result, "The agent logs from level " + level + " on, until it is restarted.\n")
                : failed(options, result.error());
}

CtlOutcome show_version(const CtlOptions& options) {
  return done(options, one_argument("version", HAWSER_VERSION), "hawserctl " HAWSER_VERSION "\n");
}

}  // namespace hawser::control
