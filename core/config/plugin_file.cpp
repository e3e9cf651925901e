#include "core/config/plugin_file.hpp"

#include <cmath>

#include "core/base/encoding.hpp"
#include "core/config/forms.hpp"
#include "core/config/rules.hpp"

namespace hawser::config {
namespace {

using Kind = Node::Kind;
using Poco::Dynamic::Var;

json::Object to_object(const Node& table, const std::string& key, Faults& faults);

Var to_json(const Node& node, const std::string& key, Faults& faults) {
  switch (node.kind) {
    case Kind::Text:
      return node.text;
    case Kind::Boolean:
      return node.truth;
    case Kind::Integer:
      if (node.integer > json::kIntegerMax || node.integer < -json::kIntegerMax)
        faults.add(node.place, key, wrong(node, "between -(2^53-1) and 2^53-1"));
      return static_cast<Poco::Int64>(node.integer);
    case Kind::Float:
      if (!std::isfinite(node.number)) faults.add(node.place, key, wrong(node, "a finite number"));
      return node.number;
    case Kind::DateTime:
      faults.add(node.place, key, wrong(node, "written as a string, in quotes"));
      return {};
    case Kind::Array: {
      auto array = json::make_array();
      for (const Node& item : node.items) array->add(to_json(item, key, faults));
      return array;
    }
    case Kind::Table:
      return to_object(node, key, faults);
  }
  return {};
}

json::Object to_object(const Node& table, const std::string& key, Faults& faults) {
  auto object = json::make_object();
  for (const Member& member : table.members)
    object->set(member.name, to_json(member.node, key + "." + printable(member.name, 64), faults));
  return object;
}

Rule plugin_config(json::Object& into) {
  return [&into](const Node& value, const std::string& key, Faults& faults) {
    if (value.kind != Kind::Table) return faults.add(value.place, key, wrong(value, "a table, written as [config]"));
    into = to_object(value, key, faults);
    if (const auto size = json::to_text(into).size(); size > kPluginConfigBytesMax)
      faults.add(value.place, key, "takes " + std::to_string(size) + " bytes as JSON, at most 49152 are allowed");
  };
}

Rule action(std::map<std::string, Action>& into) {
  return [&into](const Node& value, const std::string& key, Faults& faults) {
    Action made;
    const auto no_nul = [](const std::string& part) {
      return part.find('\0') == part.npos ? "" : "a string without a NUL character";
    };
    const Rule parts = texts(made.command, kCommandPartsMax, no_nul, Twice::Allowed);
    const Rule command = [&](const Node& list, const std::string& name, Faults& to) {
      const std::size_t before = to.count();
      parts(list, name, to);
      if (to.count() != before) return;
      const std::string wanted = made.command.empty() ? "" : check_absolute_path(made.command[0]);
      if (made.command.empty()) to.add(list.place, name, "is empty; write [\"/absolute/path\", \"argument\", ...]");
      if (!wanted.empty()) to.add(list.items[0].place, name, wrong(list.items[0], wanted));
    };
    walk(value, key, {{"command", command}, {"time_limit", duration(made.time_limit, 1s, 3600s)}}, faults);
    if (!value.find("command"))
      faults.add(value.place, key + ".command", "is missing; write [\"/absolute/path\", \"argument\", ...]");
    if (into.size() == kActionsMax) faults.add(value.place, key, "is one action too many, at most 64 are allowed");
    if (into.size() < kActionsMax) into[key.substr(key.rfind('.') + 1)] = std::move(made);
  };
}

Rule permissions(std::optional<std::vector<Permission>>& into) {
  return [&into](const Node& value, const std::string& key, Faults& faults) {
    std::vector<std::string> texts_read;
    const std::size_t before = faults.count();
    texts(texts_read, kPermissionsMax)(value, key, faults);
    if (faults.count() != before) return;
    into.emplace();
    for (const Node& item : value.items) {
      auto permission = read_permission(item.text);
      if (permission) {
        into->push_back(std::move(*permission));
      } else {
        faults.add(item.place, key, permission.error().message);
      }
    }
  };
}

Rule limits(PluginLimits& into) {
  Fields fields;
  for (const LimitRow& row : kLimitRows) {
    auto& member = into.*row.member;
    if (row.member == &PluginLimits::stall_s) {
      const auto take = [&member](std::chrono::seconds time) { member = time.count(); };
      fields.push_back({std::string(row.name),
                        whole_seconds(take, std::chrono::seconds(row.least), std::chrono::seconds(row.most))});
    } else {
      const auto take = [&member](std::int64_t number) { member = number; };
      fields.push_back({std::string(row.name), whole_number(take, row.least, row.most)});
    }
  }
  return table(std::move(fields));
}

Rule spool(SpoolSettings& into) {
  return [&into](const Node& value, const std::string& key, Faults& faults) {
    std::string mode = "safe";
    table({{"bytes", integer(into.bytes, kSpoolBytesLeast, kSpoolBytesMost)},
           {"mode", choice(mode, {"safe", "relaxed"})}})(value, key, faults);
    into.mode = mode == "relaxed" ? SpoolMode::Relaxed : SpoolMode::Safe;
  };
}

}  // namespace

PluginSettings read_plugin_file(const std::filesystem::path& folder, const std::string& id, Faults& faults) {
  PluginSettings settings;
  settings.id = id;
  const auto file = folder / (id + ".toml");
  std::error_code ignored;
  if (!std::filesystem::exists(std::filesystem::symlink_status(file, ignored))) return settings;
  settings.file = file;
  if (const auto tree = read_toml(file, faults))
    walk(*tree, "",
         {{"config", plugin_config(settings.config)},
          {"actions", named_tables(check_action_name, action(settings.actions))},
          {"permissions", permissions(settings.permissions)},
          {"limits", limits(settings.limits)},
          {"spool", spool(settings.spool)}},
         faults);
  return settings;
}

}  // namespace hawser::config
