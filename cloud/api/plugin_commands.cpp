#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <thread>

#include "cloud/api/commands.hpp"
#include "cloud/api/device_json.hpp"
#include "cloud/api/operator.hpp"
#include "cloud/api/plugin_bundles.hpp"
#include "cloud/gateway/clock.hpp"
#include "cloud/gateway/http.hpp"
#include "cloud/gateway/registration.hpp"
#include "cloud/gateway/strict_json.hpp"
#include "cloud/gateway/tokens.hpp"
#include "core/base/encoding.hpp"
#include "core/trust/manifest.hpp"
#include "core/trust/version.hpp"

// Plugins of devices: bundles to install, and the commands that start and stop them.
namespace hawser::cloud {
namespace {

struct Asked {
  std::string serial;
  CommandRecord command;
};

// Queues a command for a device, with a line in its history.
Result<Asked> ask_device(Store& store, const std::string& serial, const std::string& name, const Json& args,
                         const std::string& words) {
  const Millis now = Now::real().wall;
  Asked asked{serial, {random_uuid(), name, args.dump(), "open", ""}};
  if (auto added = store.add_command(serial, asked.command, now); !added) return added.error();
  store.note_act(serial, {now, operator_name(), words});
  return asked;
}

// "acme.shell is ready"; of an installation what the agent makes of it.
std::string outcome_words(const CommandRecord& answer) {
  const Json result = Json::parse(answer.result);
  const auto text = [&](const char* name) {
    const auto found = result.find(name);
    return found != result.end() && found->is_string() ? printable(found->get<std::string>(), 1024) : std::string();
  };
  if (answer.state != "done") return "not done: " + text("message") + " (" + text("code") + ")";
  std::string words = text("plugin");
  if (!text("version").empty()) words += " " + text("version") + " is installed";
  if (!text("agent").empty()) words += "; the agent says " + text("agent");
  if (!text("state").empty()) words += " is " + text("state");
  if (!text("reason").empty()) words += ", " + text("reason");
  if (!text("detail").empty()) words += ": " + text("detail");
  return words.empty() ? "done" : words;
}

// Waits for all of them; 0 when each was done.
int await(Store& store, const std::vector<Asked>& asked, int wait_s) {
  int code = 0;
  const auto end = Now::real().mono + wait_s * 1000LL;
  for (const Asked& one : asked) {
    for (;; std::this_thread::sleep_for(kStorePoll)) {
      const auto answer = store.command(one.serial, one.command.id);
      if (!answer) {
        code = failed(one.serial + " was removed meanwhile");
        break;
      }
      if (answer->state != "open") {
        (answer->state == "done" ? std::cout : std::cerr) << one.serial << ": " << outcome_words(*answer) << "\n";
        if (answer->state != "done") code = 1;
        break;
      }
      if (Now::real().mono >= end) {
        code = failed(one.serial + " has not answered within " + std::to_string(wait_s) +
                      " s; the command stays queued, and hawser-cloud device history " + one.serial + " will tell");
        break;
      }
    }
  }
  return code;
}

bool is_connected(Store& store, const std::string& serial) {
  const auto device = store.device(serial);
  return device && device->state == "connected";
}

// Those that are not connected are not waited for.
int await_connected(Store& store, std::vector<Asked> asked, int wait_s) {
  std::erase_if(asked, [&](const Asked& one) {
    if (is_connected(store, one.serial)) return false;
    std::cout << one.serial << ": not connected; it is told when it connects\n";
    return true;
  });
  return wait_s == 0 ? 0 : await(store, asked, wait_s);
}

std::optional<PluginBundle> bundle_to_install(Store& store, const std::string& id, const std::string& version) {
  if (!version.empty()) return store.plugin_bundle(id, version);
  std::optional<PluginBundle> newest;
  for (const PluginBundle& bundle : store.plugin_bundles()) {
    if (bundle.plugin != id) continue;
    const auto here = trust::Version::parse(bundle.version);
    const auto best = newest ? trust::Version::parse(newest->version) : here;
    if (!newest || (here && best && *best < *here)) newest = bundle;
  }
  return newest;
}

}  // namespace

int plugin_upload(const Settings& settings, Store& store, const std::string& file) {
  auto read = read_plugin_bundle(file);
  if (!read) return failed(read.error().message);
  if (const auto old = store.plugin_bundle(read->plugin, read->version)) {
    if (old->sha256 != read->sha256)
      return failed(read->plugin + " " + read->version +
                    " is here already as another file, and a version never changes: raise it, or first hawser-cloud "
                    "plugin remove " +
                    read->plugin + " " + read->version);
    std::cout << read->plugin << " " << read->version << " is here already\n";
    return 0;
  }
  read->token = make_token();
  read->added_at = Now::real().wall;
  read->added_by = operator_name();
  read->file = (plugin_bundle_folder(settings) / (read->plugin + "-" + read->version + ".hawser")).string();
  if (auto kept = keep_plugin_bundle(settings, file, *read); !kept) return failed(kept.error().message);
  if (auto added = store.add_plugin_bundle(*read); !added) {
    ::unlink(read->file.c_str());
    return failed(added.error().message);
  }
  std::cout << read->plugin << " " << read->version << " uploaded, " << read->bytes << " bytes, SHA-256 "
            << read->sha256 << "\n";
  return 0;
}

int plugin_list(Store& store, bool json) {
  Json list = Json::array();
  for (const PluginBundle& bundle : store.plugin_bundles())
    list.push_back({{"plugin", bundle.plugin},
                    {"version", bundle.version},
                    {"bytes", bundle.bytes},
                    {"sha256", bundle.sha256},
                    {"added_at", time_of(bundle.added_at)},
                    {"added_by", bundle.added_by}});
  if (json) return (std::cout << for_terminal(list, 2) << "\n"), 0;
  for (const PluginBundle& bundle : store.plugin_bundles())
    std::cout << bundle.plugin << "  " << bundle.version << "  " << bundle.bytes << " bytes  " << bundle.sha256 << "  "
              << time_of(bundle.added_at).get<std::string>() << " by " << bundle.added_by << "\n";
  if (list.empty())
    std::cerr << "hawser-cloud: no plugin is uploaded; hawser-cloud plugin upload FILE.hawser does it\n";
  return 0;
}

int plugin_remove(Store& store, const std::string& id, const std::string& version) {
  const auto bundle = store.plugin_bundle(id, version);
  if (!bundle || !store.remove_plugin_bundle(id, version))
    return failed(printable(id, 80) + " " + printable(version, 80) +
                  " is not uploaded; hawser-cloud plugin list shows what is");
  ::unlink(bundle->file.c_str());
  std::cout << bundle->plugin << " " << bundle->version << " removed here; devices keep what they installed\n";
  return 0;
}

int plugin_install(const Settings& settings, Store& store, const InstallOptions& options) {
  const std::size_t first = options.site.empty() ? 1 : 0;
  if (options.words.size() <= first || options.words.size() > first + 2)
    return failed("write: plugin install SERIAL ID [VERSION], or plugin install --site SITE ID [VERSION]");
  const std::string id = options.words[first];
  const std::string version = options.words.size() > first + 1 ? options.words[first + 1] : "";
  const auto bundle = bundle_to_install(store, id, version);
  if (!bundle)
    return failed(printable(id, 80) + (version.empty() ? "" : " " + printable(version, 80)) +
                  " is not uploaded; hawser-cloud plugin upload FILE.hawser does it");
  std::vector<std::string> serials;
  if (options.site.empty()) {
    if (auto refused = refuse_unknown(store, options.words[0])) return *refused;
    serials.push_back(options.words[0]);
  }
  if (!options.site.empty())
    for (const DeviceRecord& device : store.devices_of(options.site)) serials.push_back(device.serial);
  if (serials.empty()) return failed("no device has registered with site " + printable(options.site, 80) + " yet");
  const std::string url = "https" + origin_for(settings, "").substr(3) + std::string(kPluginPrefix) + bundle->token;
  const Json args = {
      {"plugin", bundle->plugin}, {"version", bundle->version}, {"url", url}, {"sha256", bundle->sha256}};
  std::vector<Asked> asked;
  int code = 0;
  for (const std::string& serial : serials) {
    auto one = ask_device(store, serial, "plugin_install", args, "install " + bundle->plugin + " " + bundle->version);
    if (one) {
      asked.push_back(std::move(*one));
    } else {
      code = failed(serial + ": " + one.error().message);
    }
  }
  return std::max(code, await_connected(store, std::move(asked), options.wait_s));
}

int device_plugin(Store& store, const std::string& serial, const std::string& verb, const std::string& id, int wait_s) {
  if (auto refused = refuse_unknown(store, serial)) return *refused;
  if (!trust::is_plugin_id(id)) return failed("\"" + printable(id, 80) + "\" is no plugin id, as in \"acme.shell\"");
  auto asked = ask_device(store, serial, "plugin_" + verb, {{"plugin", id}}, verb + " " + id);
  if (!asked) return failed(asked.error().message);
  return await_connected(store, {std::move(*asked)}, wait_s);
}

}  // namespace hawser::cloud
