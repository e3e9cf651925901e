#pragma once

#include <filesystem>
#include <functional>
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

// What the device itself adds to the files. A test points it elsewhere.
struct DeviceSources {
  std::filesystem::path dmi = "/sys/class/dmi/id";                      // product_serial, product_name
  std::filesystem::path device_tree = "/sys/firmware/devicetree/base";  // serial-number, model
  std::filesystem::path state_dir = "/var/lib/hawser";                  // with the key that opens password_cipher
  std::function<std::string(const char* name)> environment{};           // empty: the process's own
};

// A file's text before it is written: load() reads it in the place of, or as well as, what stands there.
struct Overlay {
  std::filesystem::path file;  // conf.d/50-hawserctl.toml, relative to the configuration's folder
  std::string text;
};

// Where hawserctl writes, in the configuration's folder.
inline constexpr const char* kLocalFile = "conf.d/50-hawserctl.toml";

// Reads DIR/hawser.toml, then DIR/conf.d/*.toml in order of their names, then DIR/sites/<site>.toml, where tables merge
// key by key and arrays replace; then DIR/plugins.d/<plugin id>.toml of each enabled plugin. Only hawser.toml must be
// there. Collects every fault in one go. Never throws; blocks on the disk only. Any thread.
LoadResult load(const std::filesystem::path& config_dir, const DeviceSources& sources = {},
                const std::optional<Overlay>& overlay = {});

}  // namespace hawser::config
