#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

// Writes one OTLP/JSON ExportMetricsServiceRequest straight into a string: 64-bit integers as strings, enums as
// integers, as the OTLP specification's JSON mapping wants it. No tree is built.
namespace hawser::monitoring {

struct Attribute {
  std::string_view key;
  std::variant<std::string_view, std::uint64_t> value;
};
using Attributes = std::initializer_list<Attribute>;

// Use: begin, (metric, point...)..., end. A metric without points is left out again.
// Owned by the sampler; on the service thread. The text's memory is used again from sample to sample.
class OtlpWriter {
 public:
  enum class Kind {
    gauge,           // a value of this moment
    counter,         // cumulative, monotonic sum
    up_down_counter  // cumulative sum that may fall
  };

  // `start_unix_ns`: since when the sums count.
  void begin(Attributes resource, std::string_view scope_version, std::uint64_t start_unix_ns,
             std::uint64_t time_unix_ns);
  void metric(Kind kind, std::string_view name, std::string_view unit);
  void point(std::uint64_t value, Attributes attributes = {});  // one over 2^63-1 is left out: OTLP's are signed
  void point(double value, Attributes attributes = {});         // one that is no finite number is left out
  std::string_view end();

 private:
  void close_metric();
  void begin_point(Attributes attributes);
  void attributes(Attributes list);
  void quoted(std::string_view text);
  void number(std::uint64_t value);

  std::string text_;
  Kind kind_ = Kind::gauge;
  std::uint64_t start_ns_ = 0, time_ns_ = 0;
  std::size_t metric_begin_ = 0;  // where the open metric starts in text_, to take it out again
  bool in_metric_ = false, has_metrics_ = false, has_points_ = false;
};

}  // namespace hawser::monitoring
