#include "core/control/ctl_plugins.hpp"

#include <algorithm>

#include "core/base/encoding.hpp"
#include "core/config/local_file.hpp"
#include "core/config/server_list.hpp"
#include "core/trust/installation.hpp"
#include "core/trust/verify.hpp"
#include "core/trust/versions.hpp"

namespace hawser::control {
namespace {

namespace fs = std::filesystem;
using config::Node;

constexpr const char* kEnabled = "plugins.enabled";
constexpr const char* kDisabled = "plugins.disabled";

// As the option says; else the running agent's; else where packages put them.
fs::path plugin_dir_of(const CtlOptions& options) {
  if (!options.plugin_dir.empty()) return options.plugin_dir;
  const auto answer = ask(options, "plugin_list");
  const std::string named = answer ? json::text_or(*answer, "plugin_dir") : "";
  return named.empty() ? fs::path(HAWSER_PLUGIN_DIR) : fs::path(named);
}

struct Trust {
  trust::TrustStore store;
  std::string faults;  // a line each
};

Trust trust_of(const CtlOptions& options) {
  config::Faults faults;
  Trust trust{trust::TrustStore::load(options.config_dir / "trust.d", faults), ""};
  for (const auto& fault : faults.faults()) trust.faults += fault + "\n";
  return trust;
}

trust::Time now_of(const CtlOptions& options) {
  return std::max<trust::Time>(std::chrono::system_clock::now(), earliest_time(options));
}

CtlOutcome with_faults(CtlOutcome outcome, const std::string& faults) {
  if (!faults.empty()) outcome.err = printable_lines(faults) + "\n" + outcome.err;
  return outcome;
}

Error unknown_plugin(const std::string& id) {
  return {"bad_request", "\"" + printable(id, 80) + "\" is no plugin id, as in \"acme.shell\""};
}

// Nothing where the configuration has a fault.
std::optional<config::Settings> settings_of(const CtlOptions& options) {
  return config::load(options.config_dir, device_sources(options)).settings;
}

bool is_enabled(const config::Settings& settings, const std::string& id) {
  return std::find(settings.enabled.begin(), settings.enabled.end(), id) != settings.enabled.end();
}

std::string signer_words(const std::string& key_id) {
  return key_id.empty() ? "signed by nobody who is trusted (development mode)" : "signed by key " + key_id;
}

// Versions that nobody runs or may go back to are no use and take the disk. Without an agent nobody knows. Of `before` the
// look, since what somebody installs meanwhile is not among those that the agent keeps.
void remove_old(const fs::path& plugin_dir, const json::Object& look, const trust::Manifest& manifest,
                const Result<std::vector<trust::Version>>& before) {
  const auto keep = json::texts_member(look, "keep");
  if (!keep || !before) return;
  for (const auto& version : *before) {
    const bool needed = version.text() == manifest.version.text() ||
                        std::find(keep->begin(), keep->end(), version.text()) != keep->end();
    if (!needed) [[maybe_unused]]
      const auto gone = trust::remove_plugin(plugin_dir, manifest.id, version.text());
  }
}

json::Object shown(const trust::Installed& plugin) {
  auto answer = json::make_object();
  answer->set("plugin", plugin.manifest.id);
  answer->set("version", plugin.manifest.version.text());
  answer->set("signed_by", plugin.key_id.empty() ? Poco::Dynamic::Var() : Poco::Dynamic::Var(plugin.key_id));
  return answer;
}

// Tells a running agent to look at the plugin again; what it makes of it stands in `answer` and in the text.
Result<std::string> tell(const CtlOptions& options, const std::string& id, json::Object answer) {
  const auto look = ask(options, "plugin_look", one_argument("plugin", id));
  if (!look && look.error().code != "not_running") return look.error();
  answer->set("agent", look ? json::text_or(*look, "state") : "not_running");
  if (!look) return std::string("No agent is running; it counts from its next start on.\n");
  answer->set("keep", (*look)->get("keep"));
  return printable_lines(json::text_or(*look, "detail")) + "\n";
}

}  // namespace

CtlOutcome install_plugin(const CtlOptions& options, const std::string& bundle, bool allow_older) {
  const auto trust = trust_of(options);
  const auto settings = settings_of(options);
  const fs::path plugin_dir = plugin_dir_of(options);
  const auto installed = trust::install_bundle(
      bundle, {plugin_dir, trust.store, now_of(options), allow_older, settings && settings->development_mode});
  if (!installed) return with_faults(failed(options, installed.error()), trust.faults);
  auto answer = shown(*installed);
  answer->set("folder", installed->folder.string());
  answer->set("changed", installed->changed);
  const std::string name = installed->manifest.id + " " + installed->manifest.version.text();
  const std::string where = printable(installed->folder.string(), kMessageBytesMax);
  const auto before = trust::installed_versions(plugin_dir / installed->manifest.id);
  const auto told = tell(options, installed->manifest.id, answer);
  if (!told)
    return failed(options,
                  {told.error().code, name + " is installed in " + where +
                                          ", but the running agent has not looked at it: " + told.error().message});
  remove_old(plugin_dir, answer, installed->manifest, before);
  const std::string begin =
      installed->changed ? name + " is installed in " + where : name + " is installed already in " + where;
  return done(options, answer, begin + ", " + signer_words(installed->key_id) + ".\n" + *told);
}

namespace {

// Out of plugins.disabled, where it was put while the cloud enabled it.
void allow_again(config::LocalFile& file, const std::string& id) {
  const Node* now = file.find(kDisabled);
  if (!now || now->kind != Node::Kind::Array) return;
  Node list = *now;
  if (std::erase_if(list.items, [&](const Node& item) { return item.text == id; }) > 0)
    file.set(kDisabled, std::move(list));
}

// The cloud would let it run: then it takes a word against that.
bool is_wanted_by_cloud(const CtlOptions& options, const std::string& id) {
  const auto settings = settings_of(options);
  if (!settings || !settings->from_cloud) return false;
  const auto plugin = ask(options, "plugin_show", one_argument("plugin", id));
  return plugin && (*plugin)->isObject("cloud");
}

Node with_item(const Node* list, const std::string& id) {
  Node made = list ? *list : Node{};
  made.kind = Node::Kind::Array;
  const bool there = std::any_of(made.items.begin(), made.items.end(), [&](const Node& n) { return n.text == id; });
  if (!there) made.items.push_back(config::text_node(id));
  return made;
}

}  // namespace

CtlOutcome enable_plugin(const CtlOptions& options, const std::string& id) {
  if (!trust::is_plugin_id(id)) return failed(options, unknown_plugin(id));
  const auto there = trust::wanted_version(plugin_dir_of(options) / id);
  if (!there)
    return failed(options, {"plugin_missing", id + " is not installed; run first: hawserctl plugin install FILE"});
  return change_local_file(options, [&](config::LocalFile& file) -> Status {
    Node list;
    if (const Node* now = file.find(kEnabled)) list = *now;
    list.kind = Node::Kind::Array;
    const bool listed = std::any_of(list.items.begin(), list.items.end(), [&](const Node& n) { return n.text == id; });
    if (!listed) list.items.push_back(config::text_node(id));
    file.set(kEnabled, std::move(list));
    allow_again(file, id);
    return ok();
  });
}

CtlOutcome disable_plugin(const CtlOptions& options, const std::string& id) {
  const bool wanted = is_wanted_by_cloud(options, id);
  return change_local_file(options, [&](config::LocalFile& file) -> Status {
    const Node* now = file.find(kEnabled);
    Node list = now ? *now : Node{};
    list.kind = Node::Kind::Array;
    const bool listed = std::erase_if(list.items, [&](const Node& item) { return item.text == id; }) > 0;
    if (!listed && !wanted)
      return Error{"not_found", "\"" + printable(id, 80) + "\" is not enabled, so there is nothing to disable"};
    if (listed) file.set(kEnabled, std::move(list));
    if (wanted) file.set(kDisabled, with_item(file.find(kDisabled), id));
    return ok();
  });
}

namespace {

// Why this is not to be removed; empty when nothing speaks against it.
std::string still_needed(const CtlOptions& options, const std::string& id, const std::string& version) {
  const auto settings = settings_of(options);
  if (!settings) return "the configuration has a fault, so nobody knows whether it is enabled (hawserctl config check)";
  const auto look = ask(options, "plugin_look", one_argument("plugin", id));
  // The agent knows what its cloud enables, too.
  const bool enabled = look ? json::text_or(*look, "state") != "not_enabled" : is_enabled(*settings, id);
  if (!enabled) return "";
  if (version.empty()) return "it is enabled; disable it first: hawserctl plugin disable " + id;
  if (!look)
    return "it is enabled, and no agent tells which version it needs; disable it first: hawserctl plugin disable " + id;
  const auto keep = json::texts_member(*look, "keep");
  if (!keep || std::find(keep->begin(), keep->end(), version) == keep->end()) return "";
  return "the agent runs it, or goes back to it should a newer version fail";
}

}  // namespace

CtlOutcome remove_plugin(const CtlOptions& options, const std::string& id, const std::string& version, bool force) {
  if (!trust::is_plugin_id(id)) return failed(options, unknown_plugin(id));
  const std::string name = version.empty() ? id : id + " " + version;
  const std::string why = force ? "" : still_needed(options, id, version);
  if (!why.empty())
    return failed(options, {"still_needed", name + " is not removed: " + why + "; --force removes it all the same"});
  const fs::path plugin_dir = plugin_dir_of(options);
  if (const auto gone = trust::remove_plugin(plugin_dir, id, version); !gone) return failed(options, gone.error());
  auto answer = json::make_object();
  answer->set("plugin", id);
  answer->set("version", version.empty() ? Poco::Dynamic::Var() : Poco::Dynamic::Var(version));
  const auto told = tell(options, id, answer);
  if (!told)
    return failed(
        options, {told.error().code,
                  printable(name, 200) + " is removed, but the running agent has not looked: " + told.error().message});
  return done(options, answer, printable(name, 200) + " is removed. " + *told);
}

CtlOutcome verify_plugin(const CtlOptions& options, const std::string& path) {
  const auto trust = trust_of(options);
  std::error_code unknown;
  Result<trust::Installed> plugin = Error{};
  if (fs::is_directory(path, unknown)) {
    auto verified = trust::verify_plugin(path, trust.store, now_of(options));
    plugin = verified ? Result<trust::Installed>(
                            trust::Installed{std::move(verified->manifest), verified->key_id, path, false, ""})
                      : Result<trust::Installed>(verified.error());
  } else {
    plugin = trust::verify_bundle(path, trust.store, now_of(options));
  }
  if (!plugin) return with_faults(failed(options, plugin.error()), trust.faults);
  return done(options, shown(*plugin),
              plugin->manifest.id + " " + plugin->manifest.version.text() +
                  " is verified: " + signer_words(plugin->key_id) + ", every file as it was signed.\n");
}

CtlOutcome consent_to_plugin(const CtlOptions& options, const std::string& id, const std::string& version) {
  const auto shown = ask(options, "plugin_show", one_argument("plugin", id));
  if (!shown) return failed(options, shown.error());
  const auto upgrade = json::object_member(*shown, "upgrade");
  const std::string waits = upgrade ? json::text_or(*upgrade, "version") : "";
  const auto permissions =
      json::texts_member(upgrade ? *upgrade : json::make_object(), "permissions", config::kPermissionsMax);
  if (waits.empty() || !permissions)
    return failed(options,
                  {"bad_request", "no version of " + printable(id, 80) + " waits for consent, and nothing was done"});
  if (!version.empty() && version != waits)
    return failed(options, {"bad_request", "nothing was done: " + printable(id, 80) + " " + printable(waits, 64) +
                                               " waits for consent, not " + printable(version, 64)});
  auto given = one_argument("plugin", id);
  given->set("version", waits);
  given->set("permissions", (*upgrade)->get("permissions"));
  const auto result = ask(options, "plugin_consent", given);
  if (!result) return failed(options, result.error());
  std::string words;
  for (const auto& one : *permissions) words += (words.empty() ? "" : ", ") + one;
  return done(
      options, *result,
      printable_lines(id + " " + waits + " may now use: " + words + "\n" + json::text_or(*result, "detail")) + "\n");
}

}  // namespace hawser::control
