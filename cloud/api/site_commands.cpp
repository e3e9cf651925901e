#include <algorithm>
#include <iostream>
#include <map>

#include "cloud/api/commands.hpp"
#include "cloud/api/device_json.hpp"
#include "cloud/api/operator.hpp"
#include "cloud/gateway/clock.hpp"
#include "cloud/gateway/strict_json.hpp"
#include "core/base/encoding.hpp"
#include "core/base/files.hpp"
#include "core/trust/manifest.hpp"

// The profile of a site: which plugins its devices run, and with which configuration.
namespace hawser::cloud {
namespace {

constexpr std::size_t kSitePluginsMax = 64;
constexpr std::size_t kSiteConfigBytesMax = 48 * 1024;    // of one plugin, as the device takes it
constexpr std::size_t kSiteProfileBytesMax = 240 * 1024;  // one message of the main connection has 256 KiB
constexpr std::size_t kSiteNameBytesMax = 64;

bool is_site_name(const std::string& name) {
  return !name.empty() && name.size() <= kSiteNameBytesMax && name[0] != '.' &&
         std::all_of(name.begin(), name.end(),
                     [](unsigned char c) { return (c < 0x80 && std::isalnum(c)) || c == '.' || c == '_' || c == '-'; });
}

std::string shown(const Json& value) { return printable(value.get<std::string>(), 512); }

Result<Json> read_config(const std::string& file) {
  const auto text = read_file(file, kSiteConfigBytesMax);
  if (!text) return text.error();
  auto config = parse_strict(*text);
  if (!config) return config.error().with_context(file);
  if (config->dump().size() > kSiteConfigBytesMax)
    return Error{"too_big", file + ": it takes more than the 49152 bytes that a device accepts"};
  return config;
}

Error no_plugin_id(const std::string& id) {
  return {"bad_request", "\"" + printable(id, 80) + "\" is no plugin id, as in \"acme.shell\""};
}

using Entries = std::map<std::string, Json>;

// The entry to change; made where it is missing.
Result<Json*> entry_of(Entries& entries, const std::string& id) {
  if (!trust::is_plugin_id(id)) return no_plugin_id(id);
  auto [at, fresh] = entries.try_emplace(id, Json{{"id", id}, {"enabled", true}, {"config", Json::object()}});
  return &at->second;
}

Status apply(const SiteOptions& options, Entries& entries) {
  for (const std::string& id : options.forget)
    if (entries.erase(id) == 0) return Error{"not_found", printable(id, 80) + " is not in this profile"};
  for (const auto& [list, enabled] : {std::pair(&options.enable, true), std::pair(&options.disable, false)}) {
    for (const std::string& id : *list) {
      auto entry = entry_of(entries, id);
      if (!entry) return entry.error();
      (**entry)["enabled"] = enabled;
    }
  }
  for (const std::string& assignment : options.config) {
    const auto equals = assignment.find('=');
    if (equals == std::string::npos)
      return Error{"bad_request", "--config " + printable(assignment) + ": write ID=FILE.json"};
    auto entry = entry_of(entries, assignment.substr(0, equals));
    if (!entry) return entry.error();
    auto config = read_config(assignment.substr(equals + 1));
    if (!config) return config.error();
    (**entry)["config"] = std::move(*config);
  }
  return ok();
}

Result<std::string> edited(const SiteOptions& options, const std::string& before) {
  Entries entries;
  for (const Json& entry : Json::parse(before)) entries[entry["id"].get<std::string>()] = entry;
  if (auto changed = apply(options, entries); !changed) return changed.error();
  if (entries.size() > kSitePluginsMax)
    return Error{"too_big", "a profile has at most 64 plugins; --forget some that it need not name"};
  Json after = Json::array();
  for (const auto& [id, entry] : entries) after.push_back(entry);
  std::string text = after.dump();
  if (text.size() > kSiteProfileBytesMax)
    return Error{"too_big", "the profile takes " + std::to_string(text.size()) +
                                " bytes, at most 245760 fit into a message; give some plugins a shorter configuration"};
  return text;
}

// "enable acme.shell, configure acme.probe"
std::string in_words(const SiteOptions& options) {
  std::string words;
  const auto add = [&words](const char* verb, const std::string& id) {
    words += (words.empty() ? "" : ", ") + std::string(verb) + " " + printable(id, 80);
  };
  for (const auto& id : options.enable) add("enable", id);
  for (const auto& id : options.disable) add("disable", id);
  for (const auto& assignment : options.config) add("configure", assignment.substr(0, assignment.find('=')));
  for (const auto& id : options.forget) add("forget", id);
  return words;
}

Json device_entry(Store& store, const SiteRecord& site, const DeviceRecord& device) {
  const auto result = store.profile_result(device.serial);
  const bool current = result && result->revision == site.revision && result->reason.empty();
  return {{"serial", device.serial},
          {"state", device.state},
          {"revision", result ? Json(result->revision) : Json()},
          {"current", current},
          {"reason", result ? Json(result->reason) : Json("")},
          {"at", result ? time_of(result->at) : Json()},
          {"plugins", result ? Json::parse(result->plugins) : Json::array()}};
}

Json site_json(Store& store, const SiteRecord& site) {
  Json devices = Json::array();
  for (const DeviceRecord& device : store.devices_of(site.site)) devices.push_back(device_entry(store, site, device));
  return {{"site", site.site},
          {"revision", site.revision},
          {"changed_at", time_of(site.changed_at)},
          {"changed_by", site.changed_by},
          {"plugins", Json::parse(site.plugins)},
          {"devices", devices}};
}

void print_device(const Json& device) {
  std::cout << "  " << shown(device["serial"]) << "  " << shown(device["state"]) << "  "
            << (device["revision"].is_null() ? std::string("has not answered yet")
                                             : "revision " + device["revision"].dump())
            << (device["current"] || device["revision"].is_null() ? "" : ", not the present one")
            << (device["reason"] == "" ? "" : ": " + shown(device["reason"])) << "\n";
  for (const Json& plugin : device["plugins"])
    std::cout << "    " << shown(plugin["id"]) << "  " << shown(plugin["state"])
              << (plugin["reason"] == "" ? "" : "  " + shown(plugin["reason"]))
              << (plugin["detail"] == "" ? "" : ": " + shown(plugin["detail"])) << "\n";
}

}  // namespace

int site_set(Store& store, const SiteOptions& options) {
  if (!is_site_name(options.site)) return failed("a site is 1 to 64 of A-Z a-z 0-9 . _ - with no dot in front");
  const std::string words = in_words(options);
  if (words.empty()) return failed("say what to change: --enable ID, --disable ID, --config ID=FILE.json, --forget ID");
  const std::string who = operator_name();
  const Millis now = Now::real().wall;
  const auto site = store.edit_site(
      options.site, [&](const std::string& before) { return edited(options, before); }, who, now);
  if (!site) return failed(site.error().message);
  const auto devices = store.devices_of(options.site);
  const std::string what =
      "site profile of " + options.site + ", revision " + std::to_string(site->revision) + ": " + words;
  for (const DeviceRecord& device : devices) store.note_act(device.serial, {now, who, what});
  std::cout << "site " << options.site << ": revision " << site->revision << "; "
            << (devices.empty()
                    ? std::string("no device has registered with this site yet")
                    : std::to_string(devices.size()) + (devices.size() == 1 ? " device is told" : " devices are told") +
                          " at once, or when it connects; hawser-cloud site show " + options.site +
                          " tells what became of it")
            << "\n";
  return 0;
}

int site_show(Store& store, const std::string& name, bool json) {
  const auto site = store.site(name);
  if (!site) return failed("site " + printable(name, 80) + " has no profile; hawser-cloud site list shows which have");
  const Json all = site_json(store, *site);
  if (json) return (std::cout << for_terminal(all, 2) << "\n"), 0;
  std::cout << "site " << shown(all["site"]) << ", revision " << all["revision"].dump() << ", changed "
            << shown(all["changed_at"]) << " by " << shown(all["changed_by"])
            << "\nplugins:" << (all["plugins"].empty() ? " none\n" : "\n");
  for (const Json& plugin : all["plugins"])
    std::cout << "  " << shown(plugin["id"]) << "  " << (plugin["enabled"] ? "enabled" : "disabled")
              << (plugin["config"].empty() ? "" : "  " + for_terminal(plugin["config"])) << "\n";
  std::cout << "devices:" << (all["devices"].empty() ? " none\n" : "\n");
  for (const Json& device : all["devices"]) print_device(device);
  return 0;
}

int site_list(Store& store, bool json) {
  Json list = Json::array();
  for (const SiteRecord& site : store.sites()) {
    const Json all = site_json(store, site);
    const auto current = std::count_if(all["devices"].begin(), all["devices"].end(),
                                       [](const Json& device) { return device["current"].get<bool>(); });
    list.push_back({{"site", site.site},
                    {"revision", site.revision},
                    {"plugins", all["plugins"].size()},
                    {"devices", all["devices"].size()},
                    {"current", current}});
  }
  if (json) return (std::cout << for_terminal(list, 2) << "\n"), 0;
  for (const Json& site : list)
    std::cout << shown(site["site"]) << "  revision " << site["revision"].dump() << "  " << site["plugins"].dump()
              << " plugins  " << site["current"].dump() << " of " << site["devices"].dump()
              << " devices have taken it\n";
  if (list.empty()) std::cerr << "hawser-cloud: no site has a profile; hawser-cloud site set SITE makes one\n";
  return 0;
}

}  // namespace hawser::cloud
