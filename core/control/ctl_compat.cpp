#include "core/control/ctl_compat.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "core/base/encoding.hpp"
#include "core/config/hardware.hpp"

namespace hawser::control {
namespace {

using Tables = std::vector<config::HardwareTable>;

constexpr std::size_t kModelColumns = 24;

std::string padded(std::string text, std::size_t columns) {
  if (text.size() < columns) text.append(columns - text.size(), ' ');
  return text + " ";
}

// Every model of every table once, in the order of the tables.
std::vector<std::string> all_models(const Tables& tables) {
  std::vector<std::string> models;
  for (const auto& table : tables) {
    for (const auto& row : table.rows) {
      if (std::find(models.begin(), models.end(), row.model) == models.end()) models.push_back(row.model);
    }
  }
  return models;
}

std::string row_text(const Tables& tables, const std::string& model) {
  std::string line = padded(printable(model), kModelColumns);
  for (const auto& table : tables) {
    const auto compatible = table.find(model);
    line += padded(!compatible ? "-" : *compatible ? "yes" : "no", config::name_of(table.kind).size());
  }
  return line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
}

json::Object row_json(const Tables& tables, const std::string& model) {
  auto object = json::make_object();
  object->set("model", model);
  for (const auto& table : tables) {
    const auto compatible = table.find(model);
    object->set(config::name_of(table.kind), compatible ? Poco::Dynamic::Var(*compatible) : Poco::Dynamic::Var());
  }
  return object;
}

}  // namespace

CtlOutcome show_compatibility(const CtlOptions& options, const std::string& model) {
  const auto tables = config::read_hardware_tables(options.config_dir);
  if (!tables) return failed(options, tables.error());
  const auto stands = [&](const auto& table) { return table.find(model).has_value(); };
  if (!model.empty() && std::none_of(tables->begin(), tables->end(), stands))
    return failed(options, {"not_found", "model \"" + printable(model) +
                                             "\" stands in no hardware table; hawserctl compat lists every model"});
  const auto models = model.empty() ? all_models(*tables) : std::vector{model};
  std::string text = padded("model", kModelColumns);
  for (const auto& table : *tables) text += config::name_of(table.kind) + (&table == &tables->back() ? "\n" : " ");
  auto list = json::make_array();
  for (const auto& one : models) {
    text += row_text(*tables, one);
    list->add(row_json(*tables, one));
  }
  auto answer = json::make_object();
  answer->set("models", list);
  return done(options, answer, text);
}

void add_compat_commands(CLI::App& app, const CtlOptions& options, Run& run) {
  const auto model = std::make_shared<std::string>();
  auto* compat = app.add_subcommand("compat", "Show which hardware goes with which cloud; needs no running agent");
  compat->add_option("MODEL", *model, "Only this model");
  compat->callback([&, model] { run = [&, model] { return show_compatibility(options, *model); }; });
}

}  // namespace hawser::control
