#include "core/supervisor/plugin_metrics.hpp"

#include <cmath>

#include "core/base/encoding.hpp"

namespace hawser::supervisor {
namespace {

constexpr std::size_t kMetricsMost = 64;  // as the host has it
constexpr std::size_t kMetricNameBytesMost = 64;
constexpr std::size_t kMetricUnitBytesMost = 16;
constexpr std::size_t kMetricAttributesMost = 4;

Result<PluginMetric> read_metric(const json::Object& entry) {
  PluginMetric metric;
  auto name = json::text_member(entry, "name", 1, kMetricNameBytesMost);
  if (!name) return name.error();
  metric.name = printable(*name, kMetricNameBytesMost);
  auto unit = json::text_member(entry, "unit", 0, kMetricUnitBytesMost);
  if (!unit) return unit.error();
  metric.unit = printable(*unit, kMetricUnitBytesMost);
  const std::string kind = json::text_or(entry, "kind");
  if (kind != "counter" && kind != "gauge") return Error{"bad_payload", "kind is neither counter nor gauge"};
  metric.counter = kind == "counter";
  const auto value = entry->get("value");
  if (!value.isNumeric() || value.isBoolean() || !std::isfinite(value.convert<double>()))
    return Error{"bad_payload", "value is no number"};
  metric.value = value.convert<double>();
  const auto attributes = json::object_member(entry, "attributes");
  if (!attributes) return attributes.error();
  if ((*attributes)->size() > kMetricAttributesMost) return Error{"bad_payload", "too many attributes"};
  for (const auto& key : (*attributes)->getNames())
    metric.attributes[printable(key, 32)] = printable(json::text_or(*attributes, key), 64);
  return metric;
}

}  // namespace

Status PluginMetrics::take(const std::string& plugin, const json::Object& message) {
  const auto list = json::array_member(message, "metrics", kMetricsMost);
  if (!list) return list.error().with_context("metrics");
  std::vector<PluginMetric> metrics;
  for (std::size_t i = 0; i < (*list)->size(); ++i) {
    const auto entry = json::object_at(*list, i);
    if (!entry) return Error{"bad_payload", "metrics holds something that is no object"};
    auto metric = read_metric(*entry);
    if (!metric) return metric.error().with_context("metrics");
    metrics.push_back(std::move(*metric));
  }
  metrics_[plugin] = std::move(metrics);
  return ok();
}

const std::vector<PluginMetric>& PluginMetrics::of(const std::string& plugin) const {
  static const std::vector<PluginMetric> kNone;
  const auto found = metrics_.find(plugin);
  return found == metrics_.end() ? kNone : found->second;
}

}  // namespace hawser::supervisor
