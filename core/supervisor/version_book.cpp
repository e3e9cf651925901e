#include "core/supervisor/version_book.hpp"

#include <algorithm>

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"
#include "core/base/json.hpp"
#include "core/base/log.hpp"
#include "core/base/rfc3339.hpp"

namespace hawser::supervisor {
namespace {

constexpr std::size_t kTextBytesMax = 1024;

json::Object to_json(const VersionMark& mark) {
  auto object = json::make_object();
  object->set("version", mark.version);
  object->set("file", mark.digest);
  return object;
}

Result<VersionMark> read_mark(const json::Object& object, const std::string& name) {
  const auto member = json::object_member(object, name);
  if (!member) return member.error();
  const auto version = json::text_member(*member, "version", 1, kTextBytesMax);
  const auto digest = json::text_member(*member, "file", 1, kTextBytesMax);
  if (!version || !trust::Version::parse(*version) || !digest)
    return Error{"bad_payload", name + " is no version with its file"};
  return VersionMark{*version, *digest};
}

Result<VersionBook::Entry> read_entry(const json::Object& object) {
  auto settled = read_mark(object, "settled");
  if (!settled) return settled.error();
  VersionBook::Entry entry;
  entry.settled = std::move(*settled);
  if (auto trial = read_mark(object, "trial")) entry.trial = std::move(*trial);
  const auto permissions = json::texts_member(object, "permissions", 2 * config::kPermissionsMax);
  if (permissions) entry.permissions.insert(permissions->begin(), permissions->end());
  const auto failures = json::array_member(object, "failures", VersionBook::kFailuresMax);
  for (std::size_t i = 0; failures && i < (*failures)->size(); ++i) {
    const auto one = json::object_at(*failures, i);
    if (!one) return Error{"bad_payload", "failures holds something that is no object"};
    auto mark = read_mark(*one, "failed");
    if (!mark) return mark.error();
    entry.failures.push_back({std::move(*mark), printable(json::text_or(*one, "at"), 64),
                              printable(json::text_or(*one, "why"), kTextBytesMax)});
  }
  return entry;
}

json::Object to_json(const VersionBook::Entry& entry) {
  auto object = json::make_object();
  object->set("settled", to_json(entry.settled));
  if (!entry.trial.version.empty()) object->set("trial", to_json(entry.trial));
  auto permissions = json::make_array(), failures = json::make_array();
  for (const auto& text : entry.permissions) permissions->add(text);
  for (const auto& failure : entry.failures) {
    auto one = json::make_object();
    one->set("failed", to_json(failure.mark));
    one->set("at", failure.at);
    one->set("why", failure.why);
    failures->add(one);
  }
  object->set("permissions", permissions);
  object->set("failures", failures);
  return object;
}

std::optional<config::Permission> more_of_the_same(const std::set<std::string>& known,
                                                   const config::Permission& asked) {
  for (const auto& text : known) {
    auto one = config::read_permission(text);
    if (!one || one->kind != asked.kind) continue;
    using Kind = config::Permission::Kind;
    if (asked.kind == Kind::Action && one->value == "*") return *one;
    if ((asked.kind == Kind::State || asked.kind == Kind::Threads) && std::stoll(one->value) >= std::stoll(asked.value))
      return *one;
  }
  return std::nullopt;
}

}  // namespace

VersionMark mark_of(const FoundPlugin& plugin) { return {plugin.version, plugin.digest}; }

std::vector<std::string> beyond(const std::set<std::string>& known, const std::vector<config::Permission>& asked) {
  std::vector<std::string> more;
  for (const auto& permission : asked) {
    if (known.count(permission.text()) == 0 && !more_of_the_same(known, permission)) more.push_back(permission.text());
  }
  return more;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text;
}

VersionBook::VersionBook(std::filesystem::path file) : file_(std::move(file)) { read(); }

void VersionBook::read() {
  const auto text = read_file(file_, kBytesMax);
  if (!text && text.error().code == "not_found") return;
  const auto object = text ? json::parse_object(*text) : Result<json::Object>(text.error());
  const auto plugins = object ? json::object_member(*object, "plugins") : Result<json::Object>(object.error());
  std::string fault = plugins ? "" : plugins.error().message;
  for (std::size_t i = 0; plugins && i < plugins.value()->getNames().size() && i < kPluginsMax; ++i) {
    const std::string id = plugins.value()->getNames()[i];
    const auto member = json::object_member(*plugins, id);
    auto entry = member ? read_entry(*member) : Result<Entry>(member.error());
    if (entry && trust::is_plugin_id(id)) {
      entries_[id] = std::move(*entry);
    } else {
      fault = entry ? "\"" + printable(id, 64) + "\" is no plugin id" : entry.error().message;
    }
  }
  if (!fault.empty())
    spdlog::warn(
        "{} is damaged ({}): what cannot be read there is forgotten, and of each plugin the oldest version counts as "
        "the one that has proved itself",
        file_.string(), fault);
}

const VersionBook::Entry* VersionBook::find(const std::string& plugin) const {
  const auto found = entries_.find(plugin);
  return found == entries_.end() ? nullptr : &found->second;
}

bool VersionBook::on_trial(const FoundPlugin& plugin) const {
  const Entry* entry = find(plugin.id);
  return entry && !entry->trial.version.empty() && entry->trial == mark_of(plugin);
}

const VersionBook::Failure* VersionBook::failure_of(const FoundPlugin& plugin) const {
  const Entry* entry = find(plugin.id);
  if (!entry) return nullptr;
  const auto found = std::find_if(entry->failures.begin(), entry->failures.end(),
                                  [&](const Failure& failure) { return failure.mark == mark_of(plugin); });
  return found == entry->failures.end() ? nullptr : &*found;
}

void VersionBook::settle(const FoundPlugin& plugin) {
  if (entries_.size() >= kPluginsMax && entries_.count(plugin.id) == 0) return;
  Entry now = entries_[plugin.id];
  now.settled = mark_of(plugin);
  now.trial = {};
  now.permissions.clear();
  for (const auto& permission : plugin.manifest->permissions) now.permissions.insert(permission.text());
  const Entry& old = entries_[plugin.id];
  const bool same = old.settled == now.settled && old.trial == now.trial && old.permissions == now.permissions;
  if (same) return;
  entries_[plugin.id] = std::move(now);
  write();
}

void VersionBook::begin_trial(const FoundPlugin& plugin) {
  const auto found = entries_.find(plugin.id);
  if (found == entries_.end() || found->second.trial == mark_of(plugin)) return;
  found->second.trial = mark_of(plugin);
  write();
}

void VersionBook::end_trial(const std::string& plugin) {
  const auto found = entries_.find(plugin);
  if (found == entries_.end() || found->second.trial.version.empty()) return;
  found->second.trial = {};
  write();
}

void VersionBook::fail_trial(const std::string& plugin, const std::string& why) {
  const auto found = entries_.find(plugin);
  if (found == entries_.end() || found->second.trial.version.empty()) return;
  auto& failures = found->second.failures;
  if (failures.size() == kFailuresMax) failures.erase(failures.begin());
  failures.push_back({std::exchange(found->second.trial, {}), rfc3339(std::chrono::system_clock::now()),
                      printable(why, kTextBytesMax)});
  write();
}

bool VersionBook::forgive(const std::string& plugin) {
  const auto found = entries_.find(plugin);
  if (found == entries_.end() || found->second.failures.empty()) return false;
  found->second.failures.clear();
  write();
  return true;
}

void VersionBook::consent(const std::string& plugin, const trust::Manifest& manifest) {
  const auto found = entries_.find(plugin);
  if (found == entries_.end()) return;
  for (const auto& permission : manifest.permissions) found->second.permissions.insert(permission.text());
  write();
}

void VersionBook::forget(const std::string& plugin) {
  if (entries_.erase(plugin) > 0) write();
}

void VersionBook::write() {
  auto plugins = json::make_object();
  for (const auto& [id, entry] : entries_) plugins->set(id, to_json(entry));
  auto all = json::make_object();
  all->set("plugins", plugins);
  writer_.write(file_, json::to_text(all) + "\n", "the versions of plugins are not kept over a restart");
}

}  // namespace hawser::supervisor
