#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "core/base/result.hpp"
#include "core/trust/manifest.hpp"

// What a plugin has to hold to, as questions that a program can put to it. Each check runs in a process of its own
// (run.hpp), so a plugin that crashes, hangs or leaks fails one check and no more.
namespace hawser::sdk::conformance {

// The plugin that is asked.
struct Subject {
  std::filesystem::path library;  // plugin.so
  std::filesystem::path scratch;  // an empty folder of this check alone
  Result<trust::Manifest> manifest{Error{"manifest_missing", ""}};
  std::optional<std::string> schema;  // the text of config.schema.json
  std::string config = "{}";          // one that the plugin does its work with
  std::optional<std::string> wrong_config;
};

struct Check {
  std::string_view name;
  std::string_view needs;   // the check without which this one says nothing; empty: none
  std::string_view asks;    // what must hold, as one clause
  std::string_view rule;    // where that stands
  std::string_view remedy;  // for who fails it
  void (*run)(const Subject&);
};

// In the order in which they run: what another needs comes before it.
std::span<const Check> library_checks();
std::span<const Check> start_checks();
std::span<const Check> config_checks();
std::span<const Check> conduct_checks();
std::span<const Check> stop_checks();
std::span<const Check> cloud_checks();
std::span<const Check> host_checks();

// ---- for a check, in its own process: each ends that process. A check that returns has passed.
[[noreturn]] void fail(const std::string& found);   // what was found, without a full stop
[[noreturn]] void skip(const std::string& reason);  // why it says nothing about this plugin

inline void require(bool holds, const std::string& otherwise) {
  if (!holds) fail(otherwise);
}

}  // namespace hawser::sdk::conformance
