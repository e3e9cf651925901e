#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/json.hpp"
#include "core/control/control_socket.hpp"
#include "core/supervisor/action_runner.hpp"

namespace hawser::daemon {

inline constexpr std::chrono::minutes kInstallLimit{20};  // download and all

// The cloud's command plugin_install: hawserctl downloads, verifies and installs the bundle, in a process of its own, so
// that neither the network nor the disk is waited for here. What is to be done is handed over in a file that nobody else
// reads. One at a time. Owned by main(), lives on the loop's thread.
class PluginInstall {
 public:
  // `hawserctl`: the program and its options. `runtime_dir`: in memory, for the file.
  PluginInstall(Loop& loop, std::vector<std::string> hawserctl, const std::filesystem::path& runtime_dir)
      : hawserctl_(std::move(hawserctl)), request_file_(runtime_dir / "plugin-install"), runner_(loop) {}

  // Answers {"plugin","version","agent",...} when it stands there; `busy`, `bad_request`, or why it was not installed.
  void run(const json::Object& args, const control::Reply& reply);

 private:
  std::vector<std::string> hawserctl_;
  std::filesystem::path request_file_;
  bool busy_ = false;
  supervisor::ActionRunner runner_;  // last: it ends first
};

}  // namespace hawser::daemon
