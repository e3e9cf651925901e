#include "core/host/own_metrics.hpp"

#include <algorithm>
#include <cmath>

#include "core/base/encoding.hpp"
#include "core/host/text_sink.hpp"

namespace hawser::host {
namespace {

constexpr std::size_t kNameBytesMax = 64;
constexpr std::size_t kUnitBytesMax = 16;
constexpr std::size_t kAttributesMax = 4;
constexpr std::size_t kAttributeKeyBytesMax = 32;
constexpr std::size_t kAttributeValueBytesMax = 64;

bool is_name(std::string_view text, std::size_t bytes_max) {
  const auto allowed = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.'; };
  return !text.empty() && text.size() <= bytes_max && std::all_of(text.begin(), text.end(), allowed);
}

bool is_shown_as_it_is(std::string_view text, std::size_t bytes_max) {
  return text.size() <= bytes_max && printable(text, bytes_max) == text;
}

}  // namespace

hws_status OwnMetrics::set(std::int32_t kind, hws_str name, hws_str unit, double value, const hws_kv* attributes,
                           std::size_t count) {
  if (!is_name(view(name), kNameBytesMax) || !is_shown_as_it_is(view(unit), kUnitBytesMax)) return HWS_E_INVALID;
  if ((kind != HWS_GAUGE && kind != HWS_COUNTER) || !std::isfinite(value) || (kind == HWS_COUNTER && value < 0))
    return HWS_E_INVALID;
  if (count > kAttributesMax || (count > 0 && !attributes)) return HWS_E_INVALID;
  Key key{std::string(view(name)), {}};
  for (std::size_t i = 0; i < count; ++i) {
    const std::string_view attribute = view(attributes[i].key), content = view(attributes[i].value);
    if (!is_name(attribute, kAttributeKeyBytesMax) || !is_shown_as_it_is(content, kAttributeValueBytesMax) ||
        !key.attributes.emplace(attribute, content).second)
      return HWS_E_INVALID;
  }
  Figure figure{kind, std::string(view(unit)), value};
  const std::lock_guard lock(mutex_);
  const auto known = figures_.find(key);
  if (known == figures_.end() && figures_.size() >= kMetricsMax) return HWS_E_NOMEM;
  if (known != figures_.end() && known->second == figure) return HWS_OK;
  figures_[std::move(key)] = std::move(figure);
  // Should the loop be full, the next set() tries again.
  if (!planned_) planned_ = loop_.post([this] { plan(); });
  return HWS_OK;
}

void OwnMetrics::plan() {
  const auto wait = told_at_ == TimePoint{}
                        ? milliseconds(0)
                        : std::chrono::ceil<milliseconds>(told_at_ + kMetricsInterval - Clock::now());
  if (wait <= milliseconds(0)) return tell();
  loop_.after(wait, [this] { tell(); });
}

void OwnMetrics::tell() {
  told_at_ = Clock::now();
  link_.send_newest("metrics", message());
}

json::Object OwnMetrics::message() {
  auto list = json::make_array();
  const std::lock_guard lock(mutex_);
  planned_ = false;
  for (const auto& [key, figure] : figures_) {
    auto entry = json::make_object();
    entry->set("name", key.name);
    entry->set("kind", figure.kind == HWS_COUNTER ? "counter" : "gauge");
    entry->set("unit", figure.unit);
    entry->set("value", figure.value);
    auto attributes = json::make_object();
    for (const auto& [name, value] : key.attributes) attributes->set(name, value);
    entry->set("attributes", attributes);
    list->add(entry);
  }
  auto metrics = message_of("metrics");
  metrics->set("metrics", list);
  return metrics;
}

}  // namespace hawser::host
