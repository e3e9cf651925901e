// hawser-plugin: what a vendor does with a plugin before it reaches a device, and an operator before it is loaded.
// Exit codes, as of hawserctl: 0 done, 1 refused with a reason, 2 wrong usage.
#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <functional>

#include "core/base/encoding.hpp"
#include "core/trust/verify.hpp"
#include "sdk/tool/check.hpp"
#include "sdk/tool/pack.hpp"

namespace {

namespace fs = std::filesystem;

constexpr int kDone = 0, kRefused = 1, kUsage = 2;
constexpr std::size_t kLineBytesMax = 2000;

int refuse(const std::string& sentence) {
  std::fprintf(stderr, "hawser-plugin: %s\n", hawser::printable(sentence, kLineBytesMax).c_str());
  return kRefused;
}

int pack(const fs::path& folder) {
  const auto packed = hawser::tool::pack(folder);
  if (!packed) return refuse(packed.error().message);
  const std::string manifest = (folder / "manifest.json").string();
  std::printf("%s %s: %s has the digest of every file:\n", packed->id.c_str(), packed->version.c_str(),
              manifest.c_str());
  for (const auto& file : packed->files) std::printf("  %s\n", file.c_str());
  if (packed->signature_was_removed) std::printf("The signature of the manifest as it was before is removed.\n");
  std::printf("Sign it: minisign -S -s SECRET-KEY -m %s\n", manifest.c_str());
  return kDone;
}

int verify(const fs::path& folder, const fs::path& trust) {
  hawser::config::Faults faults;
  const auto store = hawser::trust::TrustStore::load(trust, faults);
  for (const auto& fault : faults.faults()) std::fprintf(stderr, "%s\n", fault.c_str());
  const auto plugin = hawser::trust::verify_plugin(folder, store, std::chrono::system_clock::now());
  if (!plugin) return refuse(plugin.error().message);
  std::printf("%s %s is verified: signed by key %s (%s), every file as it was signed\n", plugin->manifest.id.c_str(),
              plugin->manifest.version.text().c_str(), plugin->key_id.c_str(), plugin->key_file.c_str());
  return kDone;
}

int check(const hawser::tool::CheckOptions& options, bool list) {
  if (list) {
    hawser::tool::list_checks();
    return kDone;
  }
  const auto passed = hawser::tool::check(options);
  if (!passed) return refuse(passed.error().message);
  return *passed ? kDone : kRefused;
}

void add_check(CLI::App& app, hawser::tool::CheckOptions& options, bool& list) {
  auto* checking = app.add_subcommand("check", "Run a plugin against the rules, each in a process of its own");
  auto* listing = checking->add_flag("--list", list, "Print the names of the checks, and what each asks");
  auto* plugin = checking->add_option("PLUGIN", options.plugin, "The folder with plugin.so, or the library");
  checking->add_option("--config", options.config, "What it does its work with: JSON, or a file for plugins.d");
  checking->add_option("--wrong-config", options.wrong_config, "One that it has to refuse");
  checking->add_option("--only", options.only, "Run this check alone, and what it needs; may be given again")
      ->allow_extra_args(false);
  checking->add_option("--junit", options.junit, "Write the results to this file, for a build server");
  checking
      ->add_option_function<unsigned>(
          "--limit", [&](unsigned seconds) { options.limit = std::chrono::seconds(seconds); },
          "Seconds that one check may take (default 20)")
      ->check(CLI::Range(1u, 3600u));
  checking->callback([=] {
    if (plugin->empty() && listing->empty()) throw CLI::RequiredError("PLUGIN");
  });
}

int run_command_line(int argc, char** argv) {
  std::string folder, trust = "/etc/hawser/trust.d";
  std::function<int()> run;
  CLI::App app("Makes a plugin ready to be signed, and checks one that is.", "hawser-plugin");
  app.footer(
      "Exit status: 0 done, 1 refused (the reason is printed), 2 wrong usage.\n"
      "Examples:\n  hawser-plugin pack com.acme.clock/1.0.0\n  minisign -S -s acme.key -m "
      "com.acme.clock/1.0.0/manifest.json\n"
      "  hawser-plugin verify com.acme.clock/1.0.0 --trust trust.d");
  app.require_subcommand(1);
  app.set_version_flag("--version", HAWSER_VERSION);
  const char* const what = "The plugin's folder, <id>/<version>";
  auto* packing = app.add_subcommand("pack", "Write the digest of every file of a plugin into its manifest");
  packing->add_option("FOLDER", folder, what)->required();
  packing->callback([&] { run = [&] { return pack(folder); }; });
  auto* verifying = app.add_subcommand("verify", "Check a signed plugin as a device will");
  verifying->add_option("FOLDER", folder, what)->required();
  verifying->add_option("--trust", trust, "The folder with the keys that are trusted")->capture_default_str();
  verifying->callback([&] { run = [&] { return verify(folder, trust); }; });
  hawser::tool::CheckOptions checked;
  bool list = false;
  add_check(app, checked, list);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& problem) {
    return app.exit(problem) == 0 ? kDone : kUsage;
  }
  if (app.got_subcommand("check")) return check(checked, list);
  return run();
}

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return run_command_line(argc, argv);
  } catch (const std::exception& problem) {
    return refuse(problem.what());
  }
}
