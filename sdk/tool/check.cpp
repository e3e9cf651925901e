#include "sdk/tool/check.hpp"

#include <algorithm>
#include <cstdio>
#include <map>

#include "core/base/files.hpp"
#include "core/trust/config_schema.hpp"
#include "core/trust/plugin_folder.hpp"
#include "sdk/testing/conformance/report.hpp"
#include "sdk/tool/plugin_files.hpp"

namespace hawser::tool {
namespace {

namespace fs = std::filesystem;
using namespace sdk::conformance;

Result<Subject> subject_of(const CheckOptions& options) {
  const auto library = library_of(options.plugin);
  if (!library) return library.error();
  Subject subject;
  subject.library = *library;
  const fs::path manifest = library->parent_path() / trust::kManifestFile;
  std::error_code fault;
  if (fs::exists(manifest, fault)) {
    const auto text = read_file(manifest, trust::kManifestBytesMax);
    if (!text) return text.error();
    subject.manifest = trust::read_manifest(*text);
  }
  if (const fs::path schema = library->parent_path() / trust::kConfigSchemaFile; fs::exists(schema, fault)) {
    auto text = read_file(schema, trust::kConfigSchemaBytesMax);
    if (!text) return text.error();
    subject.schema = *text;
  }
  if (options.config) {
    const auto config = read_config(*options.config);
    if (!config) return config.error();
    subject.config = *config;
  }
  if (options.wrong_config) {
    const auto config = read_config(*options.wrong_config);
    if (!config) return config.error();
    subject.wrong_config = *config;
  }
  return subject;
}

// Those asked for, and what they need.
Result<std::vector<Check>> chosen(const std::vector<std::string>& only) {
  std::vector<Check> all = all_checks();
  if (only.empty()) return all;
  for (const auto& name : only) {
    if (std::none_of(all.begin(), all.end(), [&](const Check& check) { return check.name == name; }))
      return Error{"not_found", "there is no check " + name + "; `hawser-plugin check --list` names them"};
  }
  std::vector<std::string_view> wanted(only.begin(), only.end());
  for (auto check = all.rbegin(); check != all.rend(); ++check) {  // what is needed comes before who needs it
    if (!check->needs.empty() && std::count(wanted.begin(), wanted.end(), check->name) != 0)
      wanted.push_back(check->needs);
  }
  std::erase_if(all, [&](const Check& check) { return std::count(wanted.begin(), wanted.end(), check.name) == 0; });
  return all;
}

Outcome run_in_order(const Check& check, Subject subject, const fs::path& scratch,
                     const std::map<std::string_view, Outcome::Kind>& before, std::chrono::seconds limit) {
  if (!check.needs.empty() && before.at(check.needs) != Outcome::Kind::passed)
    return {Outcome::Kind::skipped,
            std::string(check.needs) + (before.at(check.needs) == Outcome::Kind::failed ? " failed" : " was not run"),
            {},
            0};
  subject.scratch = scratch / check.name;
  fs::create_directory(subject.scratch);
  return run(check, std::move(subject), limit);
}

}  // namespace

Result<bool> check(const CheckOptions& options) {
  const auto subject = subject_of(options);
  if (!subject) return subject.error();
  const auto checks = chosen(options.only);
  if (!checks) return checks.error();
  const TemporaryFolder scratch;
  std::vector<Ran> all;
  std::map<std::string_view, Outcome::Kind> before;
  for (const Check& check : *checks) {
    all.push_back({&check, run_in_order(check, *subject, scratch.path(), before, options.limit)});
    before[check.name] = all.back().outcome.kind;
    std::fputs(line_of(all.back()).c_str(), stdout);
    std::fflush(stdout);
  }
  std::fputs(summary_of(all).c_str(), stdout);
  const std::string plugin = subject->manifest ? subject->manifest->id : subject->library.string();
  if (options.junit) {
    if (const auto status = write_file_atomically(*options.junit, junit_of(plugin, all), 0644); !status)
      return status.error();
  }
  return std::none_of(all.begin(), all.end(), [](const Ran& ran) { return ran.outcome.kind == Outcome::Kind::failed; });
}

void list_checks() {
  for (const Check& check : all_checks())
    std::printf("%-22s %s (%s)\n", std::string(check.name).c_str(), std::string(check.asks).c_str(),
                std::string(check.rule).c_str());
}

}  // namespace hawser::tool
