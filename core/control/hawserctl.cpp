// The operator's command on the device: asks the agent over its control socket. What it does stands in
// ctl_commands.cpp; here are its command line, its terminal and its exit codes.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <sstream>

#include "core/base/encoding.hpp"
#include "core/config/rules.hpp"
#include "core/control/ctl_bundle.hpp"
#include "core/control/ctl_compat.hpp"
#include "core/control/ctl_connection.hpp"
#include "core/control/ctl_doctor.hpp"
#include "core/control/ctl_plugins.hpp"
#include "core/control/ctl_servers.hpp"
#include "core/control/ctl_shell.hpp"
#include "core/control/ctl_state.hpp"
#include "core/control/ctl_terminal.hpp"

namespace {

using namespace hawser::control;

// A descriptor 0 to 2 that was closed would become the socket, and what we print would go to the agent.
void fill_standard_descriptors() {
  for (;;) {
    const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd > 2) ::close(fd);
    if (fd < 0 || fd > 2) return;
  }
}

// The password of the cloud may be in memory.
void leave_no_core() {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
#ifndef HAWSER_SANITIZED  // the leak checker has to look into its own process
  ::prctl(PR_SET_DUMPABLE, 0);
#endif
}

void add_config_commands(CLI::App& app, CtlOptions& options, Run& run) {
  auto* config = app.add_subcommand("config", "Look at the configuration");
  config->add_subcommand("check", "Name every fault in the files; needs no running agent")->callback([&] {
    run = [&] { return check_config(options); };
  });
  config->add_subcommand("show", "Show the configuration that the agent runs with")->callback([&] {
    run = [&] { return show_config(options); };
  });
  config->add_subcommand("reload", "Let the agent read its files anew; nothing changes where they have a fault")
      ->callback([&] { run = [&] { return reload_config(options); }; });
}

void add_commands(CLI::App& app, CtlOptions& options, std::string& text, Run& run) {
  add_state_commands(app, options, run);
  add_connection_commands(app, options, run);
  add_server_commands(app, options, run);
  add_compat_commands(app, options, run);
  add_shell_commands(app, options, run);
  add_doctor_commands(app, options, run);
  add_bundle_commands(app, options, run);
  add_plugin_commands(app, options, run);
  add_config_commands(app, options, run);
  auto* level = app.add_subcommand("log-level", "Change what the agent logs, until it is restarted");
  level->add_option("LEVEL", text, "trace, debug, info, warn or error")
      ->required()
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error"}));
  level->callback([&] { run = [&] { return set_level(options, text); }; });
  app.add_subcommand("version", "Show the version")->callback([&] { run = [&] { return show_version(options); }; });
}

// The innermost command that was named: where the next word went wrong.
const CLI::App& innermost(const CLI::App& app) {
  const auto named = app.get_subcommands();
  return named.empty() ? app : innermost(*named.front());
}

CtlOutcome no_command(const CLI::App& app, const std::string& word) {
  const CLI::App& at = innermost(app);
  std::vector<std::string> known;
  for (const auto* one : at.get_subcommands({}))
    if (!one->get_group().empty()) known.push_back(one->get_name());
  const std::string path = &at == &app ? "" : at.get_name() + " ";
  const std::string safe = hawser::printable(word);
  if (const auto near = hawser::config::nearest(word, known); !near.empty())
    return usage(safe + " is no command; did you mean " + path + near + "?");
  std::string list;
  for (const auto& name : known) list += (list.empty() ? "" : ", ") + path + name;
  if (list.empty()) return usage(path + "takes no further word: " + safe);
  return usage((word.empty() ? "name a command: " : safe + " is no command; there are: ") + list);
}

int run_command_line(int argc, char** argv) {
  CtlOptions options;
  options.width = terminal_size().columns;
  std::string text;
  Run run;
  CLI::App app("Asks the Hawser agent on this device, and tells it what to do.", "hawserctl");
  app.footer(
      "Exit status: 0 done, 1 refused or failed (the reason is printed), 2 wrong usage, 3 no agent is running.\n"
      "Examples:\n  hawserctl state\n  hawserctl plugin show hawser.monitoring --json\n  hawserctl config check");
  app.fallthrough();
  app.add_option("--socket", options.socket, "The agent's control socket")->capture_default_str();
  app.add_option("--config", options.config_dir, "The folder with hawser.toml")->capture_default_str();
  app.add_option("--state-dir", options.state_dir, "The agent's state, with the key of the password")
      ->capture_default_str();
  app.add_option("--plugin-dir", options.plugin_dir, "The plugins' folder; without it the running agent's");
  app.add_flag("--json", options.json, "Print JSON, for programs");
  add_commands(app, options, text, run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ExtrasError& problem) {
    const auto words = app.remaining(true);
    const bool is_option = words.empty() || words[0].rfind('-', 0) == 0;
    return finish(is_option ? usage(problem.what()) : no_command(app, words[0]));
  } catch (const CLI::ParseError& problem) {
    std::ostringstream out;
    if (app.exit(problem, out, out) != 0) return finish(usage(problem.what()));
    return finish({CtlExit::Done, out.str(), ""});
  }
  return finish(run ? run() : no_command(app, ""));
}

}  // namespace

int main(int argc, char** argv) {
  fill_standard_descriptors();
  leave_no_core();
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return run_command_line(argc, argv);
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "hawserctl: %s\n", problem.what());
    return static_cast<int>(CtlExit::Failed);
  }
}
