#include "core/control/ctl_commands.hpp"

#include "core/base/encoding.hpp"
#include "core/config/load.hpp"
#include "core/control/ctl_support.hpp"
#include "core/control/redaction.hpp"
#include "core/control/state_text.hpp"

namespace hawser::control {
namespace {

json::Array texts(const std::vector<std::string>& lines) {
  auto array = json::make_array();
  for (const auto& line : lines) array->add(line);
  return array;
}

std::vector<std::string> texts_of(const json::Object& object, const std::string& name) {
  const auto array = json::array_member(object, name);
  std::vector<std::string> lines;
  for (std::size_t i = 0; array && i < (*array)->size(); ++i)
    lines.push_back((*array)->get(static_cast<unsigned>(i)).toString());
  return lines;
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

CtlOutcome release_plugin(const CtlOptions& options, const std::string& id) {
  const auto result = ask(options, "plugin_release", one_argument("plugin", id));
  return result ? done(options, *result, "Plugin " + printable(id) + " is released and starts.\n")
                : failed(options, result.error());
}

CtlOutcome release_all_plugins(const CtlOptions& options) {
  auto args = json::make_object();
  args->set("all", true);
  const auto result = ask(options, "plugin_release", args);
  if (!result) return failed(options, result.error());
  std::string text;
  for (const auto& id : texts_of(*result, "released")) text += "Plugin " + printable(id) + " is released and starts.\n";
  return done(options, *result, text.empty() ? "No plugin was in quarantine or held.\n" : text);
}

CtlOutcome check_config(const CtlOptions& options) {
  const auto loaded = config::load(options.config_dir, device_sources(options));
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
  if (!result) return failed(options, result.error());
  auto outcome = done(options, *result, flat_text(*result));
  outcome.out = without_url_secrets(std::move(outcome.out));
  return outcome;
}

CtlOutcome reload_config(const CtlOptions& options) {
  const auto result = ask(options, "config_reload");
  if (!result) return failed(options, result.error());
  std::string changed;
  for (const auto& key : texts_of(*result, "changed")) changed += (changed.empty() ? "" : ", ") + printable(key);
  std::string text = "The configuration was read anew; ";
  text += changed.empty() ? "nothing has changed.\n" : "changed: " + changed + ".\n";
  for (const auto& warning : texts_of(*result, "warnings")) text += printable_lines(warning) + " (a warning)\n";
  return done(options, *result, text);
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
