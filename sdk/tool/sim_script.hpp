#pragma once

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.hpp"

namespace hawser::tool {

inline constexpr std::size_t kScriptBytesMax = 1024 * 1024;
inline constexpr std::size_t kStepsMax = 10'000;
inline constexpr std::int64_t kScriptMsMax = std::int64_t{24} * 3600 * 1000;

// One thing that happens to the plugin at a time. The names in `words` are those that kStepKinds allows to its kind.
struct Step {
  std::chrono::milliseconds at{0};
  std::string what;  // "deny"
  nlohmann::json words;

  std::int64_t number(const char* name, std::int64_t otherwise) const { return words.value(name, otherwise); }
  std::string text(const char* name, const char* otherwise = "") const { return words.value(name, otherwise); }
};

struct StepKind {
  std::string_view name;
  std::string_view words;  // its members beside at_ms, do and service: "ms times", numbers end with #
  std::string_view does;
};

extern const std::vector<StepKind> kStepKinds;

struct Script {
  std::optional<std::string> config;  // JSON
  std::chrono::milliseconds until{60'000};
  std::vector<Step> steps;  // by time
};

// {"config": {...}, "until_ms": 60000, "steps": [{"at_ms": 5000, "do": "deny", "reason": "plugin_blocked"}]}
// The Error names the step and the member.
Result<Script> read_script(const std::filesystem::path& file);

}  // namespace hawser::tool
