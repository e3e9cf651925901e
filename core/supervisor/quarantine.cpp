#include "core/supervisor/quarantine.hpp"

#include <algorithm>

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"
#include "core/base/json.hpp"
#include "core/base/log.hpp"

namespace hawser::supervisor {
namespace {

constexpr std::size_t kWhyBytesMax = 1024;
constexpr std::size_t kDigestBytesMax = 80;

void add(std::string& text, const std::string& name, const std::string& value) { text += name + "=" + value + "\n"; }

Result<Quarantine::Entry> read_entry(const json::Object& object) {
  Quarantine::Entry entry;
  for (const auto& [name, target] :
       {std::pair{"file", &entry.make.file}, std::pair{"settings", &entry.make.settings}}) {
    auto digest = json::text_member(object, name, 1, kDigestBytesMax);
    if (!digest) return digest.error();
    *target = std::move(*digest);
  }
  entry.at = printable(json::text_or(object, "at"), kDigestBytesMax);
  auto why = json::text_member(object, "why", 1, kWhyBytesMax);
  if (!why) return why.error();
  entry.why = printable(*why, kWhyBytesMax);
  return entry;
}

}  // namespace

PluginMake make_of(const FoundPlugin& plugin, const config::PluginSettings& settings) {
  std::string text = json::to_text(settings.config) + "\n";
  for (const auto& [name, action] : settings.actions) {
    add(text, "action", name + " " + std::to_string(action.time_limit.count()));
    for (const auto& word : action.command) add(text, "word", word);
  }
  if (settings.permissions) {
    for (const auto& permission : *settings.permissions) add(text, "permission", permission.text());
  }
  for (const auto& row : config::kLimitRows) {
    if (const auto value = settings.limits.*row.member) add(text, std::string(row.name), std::to_string(*value));
  }
  add(text, "spool",
      std::to_string(settings.spool.bytes) + " " + std::to_string(static_cast<int>(settings.spool.mode)));
  return {plugin.digest, "sha256:" + hex(sha256(text))};
}

Quarantine::Quarantine(std::filesystem::path file) : file_(std::move(file)) { read(); }

void Quarantine::read() {
  const auto text = read_file(file_, kBytesMax);
  if (!text && text.error().code == "not_found") return;
  const auto object = text ? json::parse_object(*text) : Result<json::Object>(text.error());
  const auto plugins = object ? json::object_member(*object, "plugins") : Result<json::Object>(object.error());
  std::string fault = plugins ? "" : plugins.error().message;
  for (std::size_t i = 0; plugins && i < plugins.value()->getNames().size() && i < kPluginsMax; ++i) {
    const std::string id = plugins.value()->getNames()[i];
    const auto member = json::object_member(*plugins, id);
    const auto entry = member ? read_entry(*member) : Result<Entry>(member.error());
    if (entry && trust::is_plugin_id(id)) {
      entries_[id] = *entry;
    } else {
      fault = entry ? "\"" + printable(id, 64) + "\" is no plugin id" : entry.error().message;
    }
  }
  if (!fault.empty())
    spdlog::warn("{} is damaged ({}): what cannot be read there is in quarantine no more", file_.string(), fault);
}

const Quarantine::Entry* Quarantine::find(const std::string& plugin) const {
  const auto found = entries_.find(plugin);
  return found == entries_.end() ? nullptr : &found->second;
}

void Quarantine::put(const std::string& plugin, Entry entry) {
  if (entries_.size() >= kPluginsMax && entries_.count(plugin) == 0) entries_.erase(entries_.begin());
  entry.why.resize(std::min(entry.why.size(), kWhyBytesMax));
  entries_[plugin] = std::move(entry);
  write();
}

bool Quarantine::release(const std::string& plugin) {
  if (entries_.erase(plugin) == 0) return false;
  write();
  return true;
}

void Quarantine::write() {
  auto plugins = json::make_object();
  for (const auto& [id, entry] : entries_) {
    auto object = json::make_object();
    object->set("file", entry.make.file);
    object->set("settings", entry.make.settings);
    object->set("at", entry.at);
    object->set("why", entry.why);
    plugins->set(id, object);
  }
  auto all = json::make_object();
  all->set("plugins", plugins);
  writer_.write(file_, json::to_text(all) + "\n", "a quarantine is not kept over a restart");
}

}  // namespace hawser::supervisor
