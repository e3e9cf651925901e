// hawser-plugin: what a vendor does with a plugin before it reaches a device, and an operator before it is loaded.
// Exit codes, as of hawserctl: 0 done, 1 refused or failed with a reason, 2 wrong usage.
#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <functional>
#include <memory>

#include "core/base/encoding.hpp"
#include "core/trust/installation.hpp"
#include "core/trust/verify.hpp"
#include "sdk/tool/bundle.hpp"
#include "sdk/tool/check.hpp"
#include "sdk/tool/lint.hpp"
#include "sdk/tool/new_project.hpp"
#include "sdk/tool/pack.hpp"
#include "sdk/tool/sign.hpp"
#include "sdk/tool/sim.hpp"

namespace {

namespace fs = std::filesystem;
using namespace hawser::tool;

constexpr int kDone = 0, kRefused = 1, kUsage = 2;
constexpr std::size_t kLineBytesMax = 2000;
constexpr const char* kFolderHelp = "The plugin's folder, <id>/<version>";
constexpr const char* kPluginHelp = "The folder with plugin.so, or the library";

using Run = std::function<int()>;  // what the chosen command does

int refuse(const std::string& sentence) {
  std::fprintf(stderr, "hawser-plugin: %s\n", hawser::printable(sentence, kLineBytesMax).c_str());
  return kRefused;
}

int answer(const hawser::Result<bool>& good) {
  if (!good) return refuse(good.error().message);
  return *good ? kDone : kRefused;
}

int make(const std::string& id, const std::string& language, const fs::path& folder) {
  const auto made = new_project(id, language == "c" ? Language::c : Language::cpp, folder);
  if (!made) return refuse(made.error().message);
  std::printf("%s:\n", made->folder.c_str());
  for (const auto& file : made->files) std::printf("  %s\n", file.c_str());
  std::printf(
      "Write in %s. Build and check it:\n  cd %s\n  cmake -B build && cmake --build build\n"
      "  hawser-plugin check build/plugins/%s/1.0.0\n",
      made->source.c_str(), made->folder.c_str(), id.c_str());
  return kDone;
}

int print_lint(const fs::path& folder) {
  const auto faults = lint(folder);
  if (!faults) return refuse(faults.error().message);
  for (const auto& fault : *faults) std::printf("%s\n", hawser::printable(fault, kLineBytesMax).c_str());
  return faults->empty() ? kDone : kRefused;
}

int print_bundle(const fs::path& folder, const fs::path& into) {
  const auto bundle = write_bundle(folder, into);
  if (!bundle) return refuse(bundle.error().message);
  std::printf("%s is the bundle: hawserctl plugin install %s\n", bundle->c_str(), bundle->c_str());
  return kDone;
}

int print_packed(const fs::path& folder, const std::optional<fs::path>& bundle) {
  const auto packed = pack(folder);
  if (!packed) return refuse(packed.error().message);
  const std::string manifest = (folder / "manifest.json").string();
  std::printf("%s %s: %s has the digest of every file:\n", packed->id.c_str(), packed->version.c_str(),
              manifest.c_str());
  for (const auto& file : packed->files) std::printf("  %s\n", file.c_str());
  if (packed->signature_was_removed) std::printf("The signature of the manifest as it was before is removed.\n");
  if (bundle) return print_bundle(folder, *bundle);
  std::printf("Sign it: hawser-plugin sign %s --key SECRET-KEY\n", folder.c_str());
  return kDone;
}

int print_signed(const SignOptions& options, const fs::path& bundle) {
  const auto signature = sign(options);
  if (!signature) return refuse(signature.error().message);
  std::printf("%s is the signature\n", signature->c_str());
  return print_bundle(options.folder, bundle);
}

// A bundle, or a plugin's folder.
hawser::Result<std::pair<hawser::trust::Manifest, std::string>> verified(const fs::path& given,
                                                                         const hawser::trust::TrustStore& store) {
  const auto now = std::chrono::system_clock::now();
  std::error_code fault;
  if (fs::is_regular_file(given, fault)) {
    const auto bundle = hawser::trust::verify_bundle(given, store, now);
    if (!bundle) return bundle.error();
    return std::pair(bundle->manifest, bundle->key_id);
  }
  const auto folder = hawser::trust::verify_plugin(given, store, now);
  if (!folder) return folder.error();
  return std::pair(folder->manifest, folder->key_id);
}

int print_verified(const fs::path& given, const fs::path& trust) {
  hawser::config::Faults faults;
  const auto store = hawser::trust::TrustStore::load(trust, faults);
  for (const auto& fault : faults.faults()) std::fprintf(stderr, "%s\n", fault.c_str());
  const auto plugin = verified(given, store);
  if (!plugin) return refuse(plugin.error().message);
  const auto& [manifest, key] = *plugin;
  const auto* const trusted = store.find(key);
  std::printf("%s %s is verified: signed by key %s (%s), every file as it was signed\n", manifest.id.c_str(),
              manifest.version.text().c_str(), key.c_str(), trusted ? trusted->file.c_str() : "");
  return kDone;
}

// A flag that lists something, in the place of the argument that is due otherwise.
void list_instead(CLI::App& command, CLI::Option* due, const std::string& what, Run& run, void (*list)()) {
  auto* const listing = command.add_flag("--list", what);
  command.callback([=, &run] {
    if (!listing->empty()) run = [=] { return list(), kDone; };
    if (listing->empty() && due->empty()) throw CLI::RequiredError(due->get_name());
  });
}

void add_new(CLI::App& app, Run& run) {
  struct Words {
    std::string id, language = "cpp";
    fs::path folder;
  };
  const auto words = std::make_shared<Words>();
  auto* command = app.add_subcommand("new", "Begin a plugin: a project that builds, and passes check");
  command->add_option("ID", words->id, "Who makes it and what it is, as in com.acme.clock")->required();
  command->add_option("--language", words->language, "c or cpp")
      ->check(CLI::IsMember({"c", "cpp"}))
      ->capture_default_str();
  command->add_option("--folder", words->folder, "Where to; by default the last word of the id");
  command->callback([&run, words] { run = [=] { return make(words->id, words->language, words->folder); }; });
}

void add_check(CLI::App& app, Run& run) {
  const auto options = std::make_shared<CheckOptions>();
  auto* command = app.add_subcommand("check", "Run a plugin against the rules, each in a process of its own");
  auto* plugin = command->add_option("PLUGIN", options->plugin, kPluginHelp);
  command->add_option("--config", options->config, "What it does its work with: JSON, or a file for plugins.d");
  command->add_option("--wrong-config", options->wrong_config, "One that it has to refuse");
  command->add_option("--only", options->only, "This check alone, and what it needs; may be given again")
      ->allow_extra_args(false);
  command->add_option("--junit", options->junit, "Write the results to this file, for a build server");
  const auto set_limit = [options](unsigned seconds) { options->limit = std::chrono::seconds(seconds); };
  command->add_option_function<unsigned>("--limit", set_limit, "Seconds that one check may take (default 20)")
      ->check(CLI::Range(1u, 3600u));
  run = [=] { return answer(check(*options)); };
  list_instead(*command, plugin, "Print the names of the checks, and what each asks", run, list_checks);
}

void add_sim(CLI::App& app, Run& run) {
  const auto options = std::make_shared<SimOptions>();
  auto* command = app.add_subcommand("sim", "Run a plugin in this process, against a cloud that follows a script");
  auto* plugin = command->add_option("PLUGIN", options->plugin, kPluginHelp);
  command->add_option("SCRIPT", options->script, "A JSON file with timed steps; without one nothing goes wrong");
  command->add_option("--config", options->config, "Its configuration: JSON, or a file for plugins.d");
  command->add_option("--state", options->state, "Its state folder, kept; by default a new one, which goes");
  command->add_flag("--real-time", options->real_time, "Do not jump from one thing to the next");
  run = [=] { return answer(sim(*options)); };
  list_instead(*command, plugin, "Print the steps that a script may have", run, list_steps);
}

void add_lint(CLI::App& app, Run& run) {
  const auto folder = std::make_shared<fs::path>();
  auto* command = app.add_subcommand("lint", "Look for faults in a project before it is built");
  command->add_option("FOLDER", *folder, "The folder with manifest.json")->required();
  command->callback([&run, folder] { run = [=] { return print_lint(*folder); }; });
}

void add_pack(CLI::App& app, Run& run) {
  struct Words {
    fs::path folder;
    std::optional<fs::path> bundle;
  };
  const auto words = std::make_shared<Words>();
  auto* command = app.add_subcommand("pack", "Write the digest of every file of a plugin into its manifest");
  command->add_option("FOLDER", words->folder, kFolderHelp)->required();
  command->add_option("--bundle", words->bundle,
                      "Write the bundle, too, to this file: signed elsewhere, or for development");
  command->callback([&run, words] { run = [=] { return print_packed(words->folder, words->bundle); }; });
}

void add_sign(CLI::App& app, Run& run) {
  const auto options = std::make_shared<SignOptions>();
  const auto bundle = std::make_shared<fs::path>();
  auto* command = app.add_subcommand("sign", "Pack a plugin, have minisign sign it, and write its bundle");
  command->add_option("FOLDER", options->folder, kFolderHelp)->required();
  command->add_option("--key", options->key, "The secret key, as minisign -G wrote it")->required();
  command->add_option("--comment", options->comment, "A comment that is signed too");
  command->add_flag("--no-password", options->key_has_no_password, "The key was made with minisign -G -W");
  command->add_option("--bundle", *bundle, "Where to; by default <id>-<version>.hawser in the present folder");
  command->callback([&run, options, bundle] { run = [=] { return print_signed(*options, *bundle); }; });
}

void add_verify(CLI::App& app, Run& run) {
  struct Words {
    fs::path folder, trust = "/etc/hawser/trust.d";
  };
  const auto words = std::make_shared<Words>();
  auto* command = app.add_subcommand("verify", "Check a signed plugin as a device will");
  command->add_option("PLUGIN", words->folder, "The bundle, or the plugin's folder, <id>/<version>")->required();
  command->add_option("--trust", words->trust, "The folder with the keys that are trusted")->capture_default_str();
  command->callback([&run, words] { run = [=] { return print_verified(words->folder, words->trust); }; });
}

int run_command_line(int argc, char** argv) {
  CLI::App app("Begins a plugin, checks it, and makes it ready to be shipped.", "hawser-plugin");
  app.footer(
      "Exit status: 0 done, 1 refused or failed (the reason is printed), 2 wrong usage.\n"
      "Examples:\n  hawser-plugin new com.acme.clock\n  hawser-plugin check build/plugins/com.acme.clock/1.0.0\n"
      "  hawser-plugin sign com.acme.clock/1.0.0 --key acme.key\n"
      "  hawser-plugin verify com.acme.clock/1.0.0 --trust trust.d");
  app.require_subcommand(1);
  app.set_version_flag("--version", HAWSER_VERSION);
  Run run, check, sim;
  add_new(app, run);
  add_lint(app, run);
  add_check(app, check);
  add_sim(app, sim);
  add_pack(app, run);
  add_sign(app, run);
  add_verify(app, run);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& problem) {
    return app.exit(problem) == 0 ? kDone : kUsage;
  }
  return app.got_subcommand("check") ? check() : app.got_subcommand("sim") ? sim() : run();
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
