#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "sdk/testing/conformance/run.hpp"

namespace hawser::tool {

struct CheckOptions {
  std::chrono::seconds limit = sdk::conformance::kCheckLimit;  // of each check
  std::filesystem::path plugin;                                // a folder with plugin.so, or the library itself
  std::vector<std::string> only;                               // names of checks; empty: all
  std::optional<std::filesystem::path> config, wrong_config,
      junit;  // configurations: a JSON object, or a plugins.d file
};

// Puts every question of the conformance kit to the plugin, and prints a line for each. Whether none failed; the Error is
// for what kept it from asking. The caller has one thread.
Result<bool> check(const CheckOptions& options);

// The names, and what each asks.
void list_checks();

}  // namespace hawser::tool
