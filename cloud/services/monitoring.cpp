#include <charconv>
#include <cmath>

#include "cloud/gateway/strict_json.hpp"
#include "cloud/services/microservice.hpp"
#include "core/base/encoding.hpp"

// hawser.monitoring.v1: OTLP/JSON ExportMetricsServiceRequest, sdk/protocol.md §6.
namespace hawser::cloud {
namespace {

constexpr std::size_t kPointsPerMessageMax = 10'000;
constexpr std::size_t kNameBytesMax = 255;
constexpr std::size_t kAttributesBytesMax = 4096;

const Json kNone = Json::array();

const Json& list_in(const Json& object, const char* name) {
  if (!object.is_object()) throw SchemaFault(std::string("the holder of ") + name + " is no object");
  const auto found = object.find(name);
  if (found == object.end()) return kNone;
  if (!found->is_array()) throw SchemaFault(std::string(name) + " is not an array");
  return *found;
}

// 64-bit integers come as strings; a plain number is taken too, as OTLP/JSON says.
std::int64_t int64_of(const Json& value, const char* name) {
  if (value.is_number_integer()) return value.get<std::int64_t>();
  std::int64_t number = 0;
  const std::string text = value.is_string() ? value.get<std::string>() : "";
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size())
    throw SchemaFault(std::string(name) + " is no 64-bit integer");
  return number;
}

Json value_of(const Json& any) {
  if (!any.is_object()) throw SchemaFault("an attribute's value is no object");
  for (const char* kind : {"stringValue", "boolValue", "doubleValue"})
    if (any.contains(kind)) return any[kind];
  if (any.contains("intValue")) return int64_of(any["intValue"], "intValue");
  return any;  // arrays and maps stay as they are written
}

Json attributes_of(const Json& holder) {
  Json attributes = Json::object();
  for (const Json& entry : list_in(holder, "attributes")) {
    if (!entry.is_object() || !entry.contains("value")) throw SchemaFault("an attribute has no value");
    attributes[text_of(entry, "key", 1, kNameBytesMax)] = value_of(entry["value"]);
  }
  return attributes;
}

class Reader {
 public:
  Reader(const std::string& serial, Now now) : serial_(serial), now_(now) {}

  std::vector<MetricPoint> read(const Json& request) {
    if (!request.contains("resourceMetrics")) throw SchemaFault("resourceMetrics is missing");
    for (const Json& resource : list_in(request, "resourceMetrics")) {
      if (resource.is_object() && resource.contains("resource")) check_resource(resource["resource"]);
      for (const Json& scope : list_in(resource, "scopeMetrics"))
        for (const Json& metric : list_in(scope, "metrics")) read_metric(metric);
    }
    return std::move(points_);
  }

 private:
  void check_resource(const Json& resource) const {
    const Json attributes = attributes_of(resource);
    if (attributes.contains("device.id") && attributes["device.id"] != serial_)
      throw SchemaFault("device.id is another device");
  }

  void read_metric(const Json& metric) {
    if (!metric.is_object()) throw SchemaFault("a metric is no object");
    name_ = text_of(metric, "name", 1, kNameBytesMax);
    unit_ = text_if_any(metric, "unit", kNameBytesMax);
    for (const char* kind : {"gauge", "sum"})
      if (metric.contains(kind))
        for (const Json& point : list_in(metric[kind], "dataPoints")) add(point, "", number_of(point));
    for (const char* kind : {"histogram", "exponentialHistogram", "summary"})
      if (metric.contains(kind))
        for (const Json& point : list_in(metric[kind], "dataPoints")) {
          if (!point.is_object() || !point.contains("count")) throw SchemaFault("a histogram point has no count");
          add(point, ".count", static_cast<double>(int64_of(point["count"], "count")));
          if (point.contains("sum") && point["sum"].is_number()) add(point, ".sum", point["sum"].get<double>());
        }
  }

  static double number_of(const Json& point) {
    if (!point.is_object()) throw SchemaFault("a data point is no object");
    if (point.contains("asInt")) return static_cast<double>(int64_of(point["asInt"], "asInt"));
    if (point.contains("asDouble") && point["asDouble"].is_number()) return point["asDouble"].get<double>();
    throw SchemaFault("a data point of " + printable(text_if_any(point, "name")) + " has neither asInt nor asDouble");
  }

  void add(const Json& point, const char* suffix, double value) {
    if (points_.size() >= kPointsPerMessageMax) throw SchemaFault("more than 10000 data points");
    MetricPoint added;
    added.name = name_ + suffix;
    added.unit = unit_;
    added.attributes = attributes_of(point).dump(-1, ' ', false, Json::error_handler_t::replace);
    if (added.attributes.size() > kAttributesBytesMax) throw SchemaFault("attributes of more than 4096 bytes");
    added.value = value;
    added.at = point.contains("timeUnixNano") ? int64_of(point["timeUnixNano"], "timeUnixNano") / 1'000'000 : now_.wall;
    points_.push_back(std::move(added));
  }

  const std::string& serial_;
  Now now_;
  std::string name_, unit_;
  std::vector<MetricPoint> points_;
};

class Monitoring final : public Microservice {
 public:
  std::string service() const override { return "monitoring"; }
  std::string protocol() const override { return "hawser.monitoring.v1"; }
  Result<Effect> receive(const std::string& serial, std::string_view payload, Now now) const override {
    auto request = parse_strict(payload);
    if (!request) return request.error();
    try {
      return Effect(Reader(serial, now).read(*request));
    } catch (const SchemaFault& fault) {
      return Error{"bad_payload", fault.what()};
    }
  }
};

}  // namespace

std::unique_ptr<Microservice> make_monitoring() { return std::make_unique<Monitoring>(); }

}  // namespace hawser::cloud
