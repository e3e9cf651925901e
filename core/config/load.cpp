#include "core/config/load.hpp"

#include <algorithm>

#include "core/config/device.hpp"
#include "core/config/forms.hpp"
#include "core/config/plugin_file.hpp"
#include "core/config/schema.hpp"

namespace hawser::config {
namespace {

namespace fs = std::filesystem;

// *.toml of a folder in the order of their names. A folder that is not there has none; one that cannot be listed is a
// fault.
std::vector<fs::path> toml_files(const fs::path& folder, Faults& faults) {
  std::vector<fs::path> files;
  std::error_code error;
  if (!fs::exists(folder, error) && !error) return files;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    const auto& path = entry->path();
    if (path.extension() == ".toml" && path.filename().string()[0] != '.') files.push_back(path);
  }
  if (error)
    faults.add({std::make_shared<const std::string>(folder.string()), 0, 0}, "",
               "cannot be listed: " + error.message() + "; it must be a folder that the agent may read");
  std::sort(files.begin(), files.end());
  return files;
}

// Reads files one over the other, and looks at each by itself too: what a later file replaces is no less wrong.
class Layers {
 public:
  explicit Layers(Faults& faults) : faults_(faults) {}

  void add(const fs::path& file) {
    faults_.name_file(file.string());
    auto tree = read_toml(file, faults_);
    if (!tree) {
      complete_ = false;
      return;
    }
    Draft draft;
    walk(*tree, "", schema(draft), faults_);
    if (const Node* device = tree->find("device"); in_site_ && device && device->find("site"))
      faults_.add(device->find("site")->place, "device.site", "cannot be set in a site's own file; remove it");
    if (root_.place.file) {
      merge(root_, std::move(*tree));
    } else {
      root_ = std::move(*tree);
    }
  }
  void enter_site() { in_site_ = true; }

  const Node& root() const { return root_; }
  bool complete() const { return complete_; }  // no file is left out: what is missing is really missing

 private:
  Faults& faults_;
  Node root_;
  bool complete_ = true;
  bool in_site_ = false;
};

const Node* device_key(const Node& root, std::string_view name) {
  const Node* device = root.find("device");
  return device ? device->find(name) : nullptr;
}

void fill_in_device(Settings& settings, const Node& root, const DeviceSources& sources, Faults& faults) {
  const Node* device = root.find("device");
  const Place place = device ? device->place : root.place;
  if (!device_key(root, "serial")) {
    if (auto serial = hardware_serial(sources)) {
      settings.serial = *serial;
    } else {
      faults.add(place, "device.serial",
                 "must be set, to the serial number that the cloud knows: " + serial.error().message);
    }
  }
  if (!device_key(root, "model")) {
    const auto model = hardware_model(sources);
    settings.model = model ? *model : "unknown";
    if (!model) faults.warn(place, "device.model", "is taken as \"unknown\": " + model.error().message);
  }
  if (settings.hostname.empty()) settings.hostname = system_hostname();
}

void read_plugins(const fs::path& folder, Settings& settings, Faults& faults) {
  for (const std::string& id : settings.enabled) settings.plugins[id] = read_plugin_file(folder, id, faults);
  for (const auto& file : toml_files(folder, faults)) {
    const std::string id = file.stem().string();
    if (settings.plugins.count(id)) continue;
    const std::string near = nearest(id, settings.enabled);
    if (near.empty() || settings.plugins[near].file == folder / (near + ".toml")) continue;
    faults.warn({std::make_shared<const std::string>(file.string()), 0, 0}, "",
                "belongs to no enabled plugin; did you mean " + near + ".toml?");
  }
}

LoadResult load_all(const fs::path& config_dir, const DeviceSources& sources) {
  Faults faults;
  Layers layers(faults);
  layers.add(config_dir / "hawser.toml");
  for (const auto& file : toml_files(config_dir / "conf.d", faults)) layers.add(file);
  const Node* site = device_key(layers.root(), "site");
  std::error_code ignored;
  if (site && site->kind == Node::Kind::Text) {
    Faults form;
    std::string name;
    text(name, check_site)(*site, "device.site", form);
    const auto file = config_dir / "sites" / (name + ".toml");
    layers.enter_site();
    if (!name.empty() && fs::exists(fs::symlink_status(file, ignored))) layers.add(file);
  }
  Draft draft;
  walk(layers.root(), "", schema(draft), faults);
  if (layers.complete()) {
    check_servers(draft, layers.root(), faults);
    fill_in_device(draft.settings, layers.root(), sources, faults);
  }
  read_plugins(config_dir / "plugins.d", draft.settings, faults);
  LoadResult result{std::nullopt, faults.faults(), faults.warnings()};
  if (result.faults.empty()) result.settings = std::move(draft.settings);
  return result;
}

}  // namespace

LoadResult load(const fs::path& config_dir, const DeviceSources& sources) {
  try {
    return load_all(config_dir, sources);
  } catch (const std::exception& problem) {  // out of memory, an impossible path
    return {std::nullopt, {config_dir.string() + ": cannot be read: " + problem.what()}, {}};
  }
}

}  // namespace hawser::config
