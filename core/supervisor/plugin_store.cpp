#include "core/supervisor/plugin_store.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <set>

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"
#include "core/base/log.hpp"
#include "core/trust/plugin_folder.hpp"
#include "core/trust/verify.hpp"
#include "core/trust/versions.hpp"

namespace hawser::supervisor {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kServicesMax = 64;  // of a whole device, sdk/protocol.md §3

Result<trust::Manifest> manifest_in(const fs::path& folder) {
  const fs::path file = folder / "manifest.json";
  const auto text = read_file(file, trust::kManifestBytesMax);
  if (!text && text.error().code == "not_found")
    return Error{"manifest_missing", "the manifest is missing: " + file.string() + " is not there"};
  if (!text) return Error{"manifest_refused", "the manifest is unreadable: " + text.error().message};
  auto manifest = trust::read_manifest(*text);
  if (!manifest) return Error{manifest.error().code, manifest.error().message + " (" + file.string() + ")"};
  return manifest;
}

// What stands there, signed or not: for a device on which plugins are made.
Status examine_unsigned(const fs::path& folder, FoundPlugin& plugin, const TrustRules& rules) {
  auto manifest = manifest_in(folder);
  if (!manifest) return manifest.error();
  if (manifest->id != plugin.id)
    return Error{"manifest_refused",
                 "manifest.json: id is \"" + manifest->id + "\", but its folder is " + folder.parent_path().string()};
  if (manifest->version.text() != plugin.version)
    return Error{"manifest_refused", "manifest.json: version is \"" + manifest->version.text() +
                                         "\", but its folder is " + folder.string()};
  auto digest = digest_of(plugin.library, rules.ending);
  if (!digest && digest.error().code == "not_found")
    return Error{"plugin_missing", "the plugin file is missing: " + plugin.library.string() + " is not there"};
  if (!digest) return Error{"plugin_missing", "the plugin file is unreadable: " + digest.error().message};
  plugin.digest = std::move(*digest);
  plugin.manifest = std::move(*manifest);
  return ok();
}

// `named`: empty for the wanted version.
Status examine(const fs::path& plugin_dir, FoundPlugin& plugin, const std::string& named,
               const trust::TrustStore& store, const TrustRules& rules) {
  if (!trust::is_plugin_id(plugin.id))
    return Error{"bad_request", "\"" + printable(plugin.id, 80) + "\" is no plugin id, as in \"acme.shell\""};
  const fs::path home = plugin_dir / plugin.id;
  plugin.version = named;
  if (named.empty()) {
    const auto version = trust::wanted_version(home);
    if (!version) return version.error();
    plugin.version = version->text();
  }
  const fs::path folder = home / plugin.version;
  plugin.library = folder / trust::kLibraryFile;
  auto verified = trust::verify_plugin(folder, store, rules.now, rules.ending);
  if (!verified && !rules.development_mode) return verified.error();
  if (!verified) {
    spdlog::debug("{}: is not verified: {}", plugin.id, verified.error().message);
    return examine_unsigned(folder, plugin, rules);
  }
  plugin.digest = std::move(verified->digest);
  plugin.manifest = std::move(verified->manifest);
  plugin.signed_by = std::move(verified->key_id);
  plugin.verified = std::move(verified->library);
  return ok();
}

// First come, first served, in order of ids: which one is refused does not depend on chance.
void refuse_double_claims(std::vector<FoundPlugin>& plugins) {
  std::map<std::string, std::string> owners;
  for (auto& plugin : plugins) {
    if (plugin.refusal) continue;
    for (const auto& service : plugin.manifest->services) {
      const auto owner = owners.find(service.name);
      if (owner == owners.end()) continue;
      plugin.refusal = Error{"service_claimed", "the service \"" + service.name + "\" is claimed by " + owner->second +
                                                    " already; enable only one of the two"};
      break;
    }
    if (!plugin.refusal && owners.size() + plugin.manifest->services.size() > kServicesMax) {
      plugin.refusal =
          Error{"service_claimed", "with it the device would offer more than 64 services; enable fewer plugins"};
    }
    if (plugin.refusal) continue;
    for (const auto& service : plugin.manifest->services) owners[service.name] = plugin.id;
  }
}

}  // namespace

Result<std::string> digest_of(const fs::path& path, const std::atomic<bool>* ending) {
  const auto failure = [&path](const char* doing) {
    const int number = errno;
    return Error{number == ENOENT ? "not_found" : "io_error",
                 std::string("cannot ") + doing + " " + path.string() + ": " + std::strerror(number)};
  };
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return failure("open");
  struct stat about {};
  if (::fstat(file.get(), &about) != 0) return failure("look at");
  if (!S_ISREG(about.st_mode)) return Error{"io_error", path.string() + " is not a regular file"};
  const auto digest = trust::sha256_of(file, path.string(), ending);
  return digest ? Result<std::string>("sha256:" + *digest) : digest.error();
}

namespace {

trust::TrustStore load_store(const TrustRules& rules) {
  config::Faults faults;
  auto store = trust::TrustStore::load(rules.store, faults);
  for (const auto& fault : faults.faults()) spdlog::warn("{}", fault);
  return store;
}

FoundPlugin look_at(const fs::path& plugin_dir, const std::string& id, const std::string& version,
                    const trust::TrustStore& store, const TrustRules& rules) {
  FoundPlugin plugin;
  plugin.id = id;
  if (const auto status = examine(plugin_dir, plugin, version, store, rules); !status) plugin.refusal = status.error();
  return plugin;
}

}  // namespace

FoundPlugin find_version(const fs::path& plugin_dir, const std::string& id, const std::string& version,
                         const TrustRules& rules) {
  return look_at(plugin_dir, id, version, load_store(rules), rules);
}

std::vector<FoundPlugin> find_plugins(const fs::path& plugin_dir, const std::vector<std::string>& wanted,
                                      const TrustRules& rules) {
  const auto store = load_store(rules);
  std::vector<FoundPlugin> plugins;
  for (const auto& id : std::set<std::string>(wanted.begin(), wanted.end()))
    plugins.push_back(look_at(plugin_dir, id, "", store, rules));
  refuse_double_claims(plugins);
  return plugins;
}

}  // namespace hawser::supervisor
