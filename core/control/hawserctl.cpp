// The operator's command on the device: asks the agent over its control socket. What it does stands in
// ctl_commands.cpp; here are its command line, its terminal and its exit codes.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <functional>
#include <sstream>

#include "core/base/encoding.hpp"
#include "core/config/rules.hpp"
#include "core/control/ctl_commands.hpp"

namespace {

using namespace hawser::control;
using Run = std::function<CtlOutcome()>;

// A descriptor 0 to 2 that was closed would become the socket, and what we print would go to the agent.
void fill_standard_descriptors() {
  for (;;) {
    const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd > 2) ::close(fd);
    if (fd < 0 || fd > 2) return;
  }
}

std::size_t terminal_width() {
  winsize size{};
  if (::isatty(STDOUT_FILENO) && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return kUnlimitedWidth;
}

// False when the reader is gone or the disk is full; errno says which.
bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t done = ::write(fd, text.data(), text.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(done));
  }
  return true;
}

int finish(const CtlOutcome& outcome) {
  const bool printed = write_all(STDOUT_FILENO, outcome.out);
  const int number = errno;
  write_all(STDERR_FILENO, outcome.err);
  if (printed || number == EPIPE) return static_cast<int>(outcome.exit);  // "| head" has seen enough
  write_all(STDERR_FILENO, std::string("hawserctl: cannot print: ") + std::strerror(number) + "\n");
  return static_cast<int>(CtlExit::Failed);
}

void add_plugin_commands(CLI::App& app, CtlOptions& options, std::string& id, Run& run) {
  auto* plugin = app.add_subcommand("plugin", "Look after the plugins");
  plugin->add_subcommand("list", "Show every plugin with its state, and why it does not run")->callback([&] {
    run = [&] { return list_plugins(options); };
  });
  auto* show = plugin->add_subcommand("show", "Show one plugin");
  show->add_option("ID", id, "The plugin, for example hawser.monitoring")->required();
  show->callback([&] { run = [&] { return show_plugin(options, id); }; });
  auto* restart = plugin->add_subcommand("restart", "Stop one plugin and start it again");
  restart->add_option("ID", id, "The plugin, for example hawser.monitoring")->required();
  restart->callback([&] { run = [&] { return restart_plugin(options, id); }; });
}

void add_config_commands(CLI::App& app, CtlOptions& options, Run& run) {
  auto* config = app.add_subcommand("config", "Look at the configuration");
  auto* check = config->add_subcommand("check", "Name every fault in the files; needs no running agent");
  check->add_option("--config", options.config_dir, "The folder with hawser.toml")->capture_default_str();
  check->callback([&] { run = [&] { return check_config(options); }; });
  config->add_subcommand("show", "Show the configuration that the agent runs with")->callback([&] {
    run = [&] { return show_config(options); };
  });
}

void add_commands(CLI::App& app, CtlOptions& options, std::string& text, Run& run) {
  app.add_subcommand("state", "Show the cloud connection and the subconnections")->callback([&] {
    run = [&] { return show_state(options); };
  });
  add_plugin_commands(app, options, text, run);
  app.add_subcommand("reset", "Leave the cloud and connect anew, at once")->callback([&] {
    run = [&] { return reset_connection(options); };
  });
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

CtlOutcome usage(const std::string& text) {
  return {CtlExit::Usage, "", "hawserctl: " + text + "\nRun hawserctl --help for more.\n"};
}

CtlOutcome no_command(const CLI::App& app, const std::string& word) {
  const CLI::App& at = innermost(app);
  std::vector<std::string> known;
  for (const auto* one : at.get_subcommands({})) known.push_back(one->get_name());
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
  options.width = terminal_width();
  std::string text;
  Run run;
  CLI::App app("Asks the Hawser agent on this device, and tells it what to do.", "hawserctl");
  app.footer(
      "Exit status: 0 done, 1 refused or failed (the reason is printed), 2 wrong usage, 3 no agent is running.\n"
      "Examples:\n  hawserctl state\n  hawserctl plugin show hawser.monitoring --json\n  hawserctl config check");
  app.fallthrough();
  app.add_option("--socket", options.socket, "The agent's control socket")->capture_default_str();
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
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return run_command_line(argc, argv);
  } catch (const std::exception& problem) {
    std::fprintf(stderr, "hawserctl: %s\n", problem.what());
    return static_cast<int>(CtlExit::Failed);
  }
}
