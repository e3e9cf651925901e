#include "core/config/hardware.hpp"

#include <algorithm>
#include <array>
#include <cctype>

#include "core/config/faults.hpp"
#include "core/config/toml_reader.hpp"

namespace hawser::config {

extern const char* const kHardwareTables;  // conf/hardware-compatibility.toml

namespace {

namespace fs = std::filesystem;

constexpr std::array<std::pair<CloudKind, const char*>, 4> kKinds{
    std::pair{CloudKind::Generic, "generic"}, std::pair{CloudKind::Cloudnet, "cloudnet"},
    std::pair{CloudKind::CloudnetInternational, "cloudnet-international"}, std::pair{CloudKind::Adwan, "adwan"}};

std::string folded(const std::string& model) {
  std::string text;
  for (const char c : model) {
    if (!std::isspace(static_cast<unsigned char>(c)))
      text += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return text;
}

HardwareTable read_table(CloudKind kind, const Node& table, const std::string& name, Faults& faults) {
  HardwareTable made{kind, {}};
  for (const Member& member : table.members) {
    if (made.find(member.name))
      faults.add(member.place, name, "has \"" + member.name + "\" in two rows; spaces and case do not count");
    if (member.node.kind != Node::Kind::Boolean)
      faults.add(member.node.place, name + ".\"" + member.name + "\"", "must be true or false");
    made.rows.push_back({member.name, member.node.truth});
  }
  return made;
}

}  // namespace

std::optional<CloudKind> cloud_kind_of(const std::string& name) {
  const auto known = std::find_if(kKinds.begin(), kKinds.end(), [&](const auto& one) { return one.second == name; });
  return known == kKinds.end() ? std::nullopt : std::optional(known->first);
}

std::string name_of(CloudKind kind) {
  return std::find_if(kKinds.begin(), kKinds.end(), [&](const auto& one) { return one.first == kind; })->second;
}

std::optional<bool> HardwareTable::find(const std::string& model) const {
  const std::string wanted = folded(model);
  const auto row = std::find_if(rows.begin(), rows.end(), [&](const Row& r) { return folded(r.model) == wanted; });
  return row == rows.end() ? std::nullopt : std::optional(row->compatible);
}

Result<std::vector<HardwareTable>> read_hardware_tables(const fs::path& config_dir) {
  std::error_code ignored;
  const fs::path own = config_dir / kHardwareFile;
  Faults faults;
  const auto root =
      fs::exists(own, ignored) ? read_toml(own, faults) : parse_toml(kHardwareTables, kHardwareFile, faults);
  std::vector<HardwareTable> tables;
  for (const auto& [kind, name] : kKinds) {
    const Node* table = root ? root->find(name) : nullptr;
    if (kind == CloudKind::Generic) continue;
    if (root && (!table || table->kind != Node::Kind::Table))
      faults.add(root->place, name, "is missing; it must be a table with a row for each model");
    if (table) tables.push_back(read_table(kind, *table, name, faults));
  }
  if (faults.count() > 0) return Error{"bad_config", faults.faults().front()};
  return tables;
}

}  // namespace hawser::config
