// The command lines of `plugin`.
#include <CLI/CLI.hpp>

#include "core/control/ctl_plugins.hpp"

namespace hawser::control {
namespace {

struct PluginWords {
  std::string id, version, path;
  bool allow_older = false, force = false;
};

constexpr const char* kId = "The plugin, for example hawser.monitoring";

void add_release(CLI::App& plugin, const CtlOptions& options, Run& run, const std::shared_ptr<PluginWords>& typed) {
  auto* release =
      plugin.add_subcommand("release", "Let plugins out of quarantine, or out of safe mode, and start them");
  auto* one = release->add_option("ID", typed->id, kId);
  auto* all = release->add_flag("--all")->description("Every one, and the agent out of safe mode");
  all->excludes(one);
  release->callback([&options, &run, typed, all, one] {
    if (all->count() + one->count() == 0) throw CLI::RequiredError("ID or --all");
    const bool every = all->count() > 0;
    run = [&options, typed, every] {
      return every ? release_all_plugins(options) : release_plugin(options, typed->id);
    };
  });
}

}  // namespace

void add_plugin_commands(CLI::App& app, const CtlOptions& options, Run& run) {
  const auto typed = std::make_shared<PluginWords>();
  auto* plugin = app.add_subcommand("plugin", "Look after the plugins");
  const auto add = [&](const char* name, const char* what, std::function<CtlOutcome()> action) {
    auto* command = plugin->add_subcommand(name, what);
    command->callback([&run, action = std::move(action)] { run = action; });
    return command;
  };
  const auto add_for_id = [&](const char* name, const char* what, std::function<CtlOutcome()> action) {
    auto* command = add(name, what, std::move(action));
    command->add_option("ID", typed->id, kId)->required();
    return command;
  };
  add("list", "Show every plugin with its state, and why it does not run",
      [&options] { return list_plugins(options); });
  add_for_id("show", "Show one plugin", [&options, typed] { return show_plugin(options, typed->id); });
  add_for_id("restart", "Stop one plugin and start it again",
             [&options, typed] { return restart_plugin(options, typed->id); });
  add_release(*plugin, options, run, typed);
  auto* install = add("install", "Install a bundle, beside older versions; one that runs is upgraded",
                      [&options, typed] { return install_plugin(options, typed->path, typed->allow_older); });
  install->add_option("FILE", typed->path, "The bundle, <id>-<version>.hawser")->required();
  install->add_flag("--allow-older", typed->allow_older, "Go back to a version that is older than the installed one");
  auto* fetch = add("fetch", "Download and install what the cloud asks for; the agent calls it",
                    [&options, typed] { return fetch_plugin(options, typed->path); });
  fetch->group("");  // not for people
  fetch->add_option("REQUEST", typed->path, "A file that says what")->required();
  add_for_id("enable", "Let a plugin that is installed run",
             [&options, typed] { return enable_plugin(options, typed->id); });
  add_for_id("disable", "Stop a plugin, until it is enabled again",
             [&options, typed] { return disable_plugin(options, typed->id); });
  auto* remove = add_for_id("remove", "Remove a plugin, or one version of it", [&options, typed] {
    return remove_plugin(options, typed->id, typed->version, typed->force);
  });
  remove->add_option("VERSION", typed->version, "Only this version");
  remove->add_flag("--force", typed->force, "Also one that is enabled, or that the agent may go back to");
  add("verify", "Check a bundle or a plugin's folder as the agent will; changes nothing",
      [&options, typed] { return verify_plugin(options, typed->path); })
      ->add_option("PATH", typed->path, "A bundle, or a folder <id>/<version>")
      ->required();
  add_for_id("consent", "Agree to the permissions that a newer version asks for", [&options, typed] {
    return consent_to_plugin(options, typed->id, typed->version);
  })->add_option("VERSION", typed->version, "Only if it is this version that waits");
}

}  // namespace hawser::control
