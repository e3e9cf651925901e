#pragma once

#include <filesystem>
#include <string>

#include "core/base/result.hpp"
#include "core/control/text_layout.hpp"

// The commands of hawserctl, apart from its command line and its terminal. One thread; each blocks until it is done.
namespace hawser::control {

struct CtlOptions {
  std::filesystem::path socket = "/run/hawser/control.sock";
  std::filesystem::path config_dir = "/etc/hawser";
  std::filesystem::path state_dir = "/var/lib/hawser";  // with the key of the password
  std::filesystem::path plugin_dir;                     // empty: the running agent's, or where packages put them
  bool json = false;
  std::size_t width = kUnlimitedWidth;
};

enum class CtlExit { Done = 0, Failed = 1, Usage = 2, NotRunning = 3 };

// What goes to standard output and to standard error.
struct CtlOutcome {
  CtlExit exit = CtlExit::Done;
  std::string out, err;
};

CtlOutcome show_state(const CtlOptions& options);
CtlOutcome list_plugins(const CtlOptions& options);
CtlOutcome show_plugin(const CtlOptions& options, const std::string& id);
CtlOutcome restart_plugin(const CtlOptions& options, const std::string& id);
CtlOutcome release_plugin(const CtlOptions& options, const std::string& id);
CtlOutcome release_all_plugins(const CtlOptions& options);
CtlOutcome check_config(const CtlOptions& options);  // without an agent
CtlOutcome show_config(const CtlOptions& options);
CtlOutcome reload_config(const CtlOptions& options);
CtlOutcome set_level(const CtlOptions& options, const std::string& level);
CtlOutcome show_version(const CtlOptions& options);  // without an agent

}  // namespace hawser::control
