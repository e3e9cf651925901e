#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "core/config/settings.hpp"

// Which hardware goes with which cloud: the guide's three tables, as data (conn-17). Any thread.
namespace hawser::config {

inline constexpr const char* kHardwareFile = "hardware-compatibility.toml";

std::optional<CloudKind> cloud_kind_of(const std::string& name);
std::string name_of(CloudKind kind);

// One of the tables, its rows in the guide's order.
struct HardwareTable {
  struct Row {
    std::string model;
    bool compatible;
  };
  CloudKind kind;
  std::vector<Row> rows;

  // Spaces and case do not count. Nothing for a model that stands in no row.
  std::optional<bool> find(const std::string& model) const;
};

// Reads `config_dir`/hardware-compatibility.toml where it stands, else what conf/ held at build time. Blocks on the
// disk. An Error says what is wrong with which file.
Result<std::vector<HardwareTable>> read_hardware_tables(const std::filesystem::path& config_dir);

}  // namespace hawser::config
