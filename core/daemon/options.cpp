#include "core/daemon/options.hpp"

#include <CLI/CLI.hpp>
#include <iostream>

namespace hawser::daemon {

ParsedOptions parse_options(int count, const char* const* arguments) {
  ParsedOptions parsed;
  Options& options = parsed.options;
  CLI::App app{"hawserd " HAWSER_VERSION " keeps a device moored to its cloud.", "hawserd"};
  app.footer(
      "Examples:\n"
      "  hawserd --check                 name every fault of the configuration, start nothing\n"
      "  hawserd --config /tmp/dev/conf --state-dir /tmp/dev/state --runtime-dir /tmp/dev/run\n"
      "Exit codes: 0 done, 64 wrong usage, 75 another hawserd runs here, 78 wrong configuration, 1 anything else.");
  app.add_option("--config", options.config_dir, "Folder of hawser.toml")->capture_default_str();
  app.add_option("--state-dir", options.state_dir, "Folder of the device key and all that lasts")
      ->capture_default_str();
  app.add_option("--runtime-dir", options.runtime_dir, "Folder of control.sock")->capture_default_str();
  app.add_option("--plugin-dir", options.plugin_dir, "Folder of the plugins, <id>/<version>/")->capture_default_str();
  app.add_option("--host-program", options.host_program, "The program that runs one plugin")->capture_default_str();
  app.add_option("--ctl-program", options.ctl_program, "hawserctl, which makes the bundles the cloud asks for")
      ->capture_default_str();
  app.add_flag("--check", options.check, "Check the configuration: exit 0, or 78 with every fault");
  app.set_version_flag("--version", "hawserd " HAWSER_VERSION);
  try {
    app.parse(count, arguments);
  } catch (const CLI::ParseError& ending) {
    const int code = app.exit(ending, std::cout, std::cerr);
    parsed.exit = code == 0 ? kExitOk : kExitUsage;
  }
  return parsed;
}

}  // namespace hawser::daemon
