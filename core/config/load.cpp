#include "core/config/load.hpp"

#include <algorithm>
#include <new>

#include "core/config/cloud_rules.hpp"
#include "core/config/device.hpp"
#include "core/config/forms.hpp"
#include "core/config/plugin_file.hpp"
#include "core/config/schema.hpp"

namespace hawser::config {
namespace {

namespace fs = std::filesystem;

// Reads files one over the other, and looks at each by itself too: what a later file replaces is no less wrong.
class Layers {
 public:
  Layers(Faults& faults, const std::optional<Overlay>& overlay) : faults_(faults), overlay_(overlay) {}

  void add(const fs::path& file) {
    faults_.name_file(file.string());
    auto tree = overlay_ && file == overlay_->file ? parse_toml(overlay_->text, file.string(), faults_)
                                                   : read_toml(file, faults_);
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
  const std::optional<Overlay>& overlay_;
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
  std::erase_if(settings.enabled, [&](const std::string& id) {
    return std::find(settings.disabled.begin(), settings.disabled.end(), id) != settings.disabled.end();
  });
  for (const std::string& id : settings.enabled) settings.plugins[id] = read_plugin_file(folder, id, faults);
  for (const auto& file : toml_files(folder, faults)) {
    const std::string id = file.stem().string();
    if (settings.plugins.count(id)) continue;
    if (settings.from_cloud && check_plugin_id(id).empty()) {  // what it may, should the cloud enable it
      settings.plugins[id] = read_plugin_file(folder, id, faults);
      continue;
    }
    const std::string near = nearest(id, settings.enabled);
    if (near.empty() || settings.plugins[near].file == folder / (near + ".toml")) continue;
    faults.warn({std::make_shared<const std::string>(file.string()), 0, 0}, "",
                "belongs to no enabled plugin; did you mean " + near + ".toml?");
  }
}

std::vector<fs::path> conf_d_files(const fs::path& config_dir, const std::optional<Overlay>& overlay, Faults& faults) {
  auto files = toml_files(config_dir / "conf.d", faults);
  if (overlay && std::find(files.begin(), files.end(), overlay->file) == files.end())
    files.insert(std::upper_bound(files.begin(), files.end(), overlay->file), overlay->file);
  return files;
}

LoadResult load_all(const fs::path& config_dir, const DeviceSources& sources, const std::optional<Overlay>& overlay) {
  Faults faults;
  Layers layers(faults, overlay);
  layers.add(config_dir / "hawser.toml");
  for (const auto& file : conf_d_files(config_dir, overlay, faults)) layers.add(file);
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
    take_password(draft, sources, faults);
    take_proxy(draft, sources, faults);
    fill_in_device(draft.settings, layers.root(), sources, faults);
    check_hardware(draft, layers.root(), config_dir, faults);
  }
  read_plugins(config_dir / "plugins.d", draft.settings, faults);
  LoadResult result{std::nullopt, faults.faults(), faults.warnings()};
  if (result.faults.empty()) result.settings = std::move(draft.settings);
  return result;
}

}  // namespace

LoadResult load(const fs::path& config_dir, const DeviceSources& sources, const std::optional<Overlay>& overlay) {
  try {
    auto placed = overlay;
    if (placed) placed->file = config_dir / placed->file;
    return load_all(config_dir, sources, placed);
  } catch (const std::bad_alloc&) {
    throw;  // no fault of the configuration: one who is started again for it may well succeed
  } catch (const std::exception& problem) {  // an impossible path
    return {std::nullopt, {config_dir.string() + ": cannot be read: " + problem.what()}, {}};
  }
}

}  // namespace hawser::config
