#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/config/settings.hpp"

namespace hawser::config {

// What came of reading a configuration. Each fault and warning is one line, safe to show:
// "file:line:column: key: what is wrong; what would be right".
struct LoadResult {
  std::optional<Settings> settings;  // there when, and only when, faults is empty
  std::vector<std::string> faults;
  std::vector<std::string> warnings;
};

// Where the device says who it is, for what the files leave out. A test points it elsewhere.
struct DeviceSources {
  std::filesystem::path dmi = "/sys/class/dmi/id";                      // product_serial, product_name
  std::filesystem::path device_tree = "/sys/firmware/devicetree/base";  // serial-number, model
};

// Reads DIR/hawser.toml, then DIR/conf.d/*.toml in order of their names, then DIR/sites/<site>.toml, where tables merge
// key by key and arrays replace; then DIR/plugins.d/<plugin id>.toml of each enabled plugin. Only hawser.toml must be
// there. Collects every fault in one go. Never throws; blocks on the disk only. Any thread.
LoadResult load(const std::filesystem::path& config_dir, const DeviceSources& sources = {});

}  // namespace hawser::config
