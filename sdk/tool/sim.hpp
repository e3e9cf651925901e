#pragma once

#include <filesystem>
#include <optional>

#include "core/base/result.hpp"

namespace hawser::tool {

struct SimOptions {
  std::filesystem::path plugin;  // a folder with plugin.so, or the library itself
  std::optional<std::filesystem::path> script, config, state;
  bool real_time = false;  // else time jumps from one thing to the next
};

// Runs the plugin in this process, against a cloud that does what the script says, and prints what happens. Whether the
// plugin started, broke no rule of plugin.h and did not give up; the Error is for what kept it from running.
Result<bool> sim(const SimOptions& options);

void list_steps();

}  // namespace hawser::tool
