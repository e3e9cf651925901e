#include "otlp_writer.hpp"

#include <charconv>
#include <cmath>
#include <limits>

namespace hawser::monitoring {

namespace {

constexpr std::string_view kScopeName = "hawser.monitoring";
constexpr std::string_view kCumulative = R"("aggregationTemporality":2,)";  // AGGREGATION_TEMPORALITY_CUMULATIVE

// The length of the UTF-8 sequence that `text` begins with; 0 when it begins with none.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  std::size_t length = first < 0x80 ? 1 : first >= 0xc2 && first <= 0xdf ? 2 : (first & 0xf0) == 0xe0 ? 3 : 0;
  if (first >= 0xf0 && first <= 0xf4) length = 4;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const bool overlong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
  const bool outside = (first == 0xed && byte(1) > 0x9f) || (first == 0xf4 && byte(1) > 0x8f);
  return overlong || outside ? 0 : length;
}

}  // namespace

void OtlpWriter::begin(Attributes resource, std::string_view scope_version, std::uint64_t start_unix_ns,
                       std::uint64_t time_unix_ns) {
  start_ns_ = start_unix_ns;
  time_ns_ = time_unix_ns;
  in_metric_ = has_metrics_ = has_points_ = false;
  text_.clear();
  text_ += R"({"resourceMetrics":[{"resource":{"attributes":)";
  attributes(resource);
  text_ += R"(},"scopeMetrics":[{"scope":{"name":)";
  quoted(kScopeName);
  text_ += R"(,"version":)";
  quoted(scope_version);
  text_ += R"(},"metrics":[)";
}

void OtlpWriter::metric(Kind kind, std::string_view name, std::string_view unit) {
  close_metric();
  metric_begin_ = text_.size();
  kind_ = kind;
  in_metric_ = true;
  has_points_ = false;
  if (has_metrics_) text_ += ',';
  text_ += R"({"name":)";
  quoted(name);
  text_ += R"(,"unit":)";
  quoted(unit);
  if (kind == Kind::gauge) {
    text_ += R"(,"gauge":{)";
  } else {
    text_ += R"(,"sum":{)";
    text_ += kCumulative;
    text_ += kind == Kind::counter ? R"("isMonotonic":true,)" : R"("isMonotonic":false,)";
  }
  text_ += R"("dataPoints":[)";
}

void OtlpWriter::close_metric() {
  if (!in_metric_) return;
  in_metric_ = false;
  if (!has_points_) {
    text_.resize(metric_begin_);
    return;
  }
  text_ += "]}}";
  has_metrics_ = true;
}

void OtlpWriter::begin_point(Attributes list) {
  if (has_points_) text_ += ',';
  has_points_ = true;
  text_ += '{';
  if (list.size() != 0) {
    text_ += R"("attributes":)";
    attributes(list);
    text_ += ',';
  }
  if (kind_ != Kind::gauge) {
    text_ += R"("startTimeUnixNano":")";
    number(start_ns_);
    text_ += R"(",)";
  }
  text_ += R"("timeUnixNano":")";
  number(time_ns_);
  text_ += '"';
}

void OtlpWriter::point(std::uint64_t value, Attributes list) {
  if (value > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) return;  // asInt is signed
  begin_point(list);
  text_ += R"(,"asInt":")";
  number(value);
  text_ += R"("})";
}

void OtlpWriter::point(double value, Attributes list) {
  if (!std::isfinite(value)) return;
  begin_point(list);
  text_ += R"(,"asDouble":)";
  char buffer[32];
  const auto done = std::to_chars(buffer, buffer + sizeof buffer, value);
  text_.append(buffer, static_cast<std::size_t>(done.ptr - buffer));
  text_ += '}';
}

std::string_view OtlpWriter::end() {
  close_metric();
  text_ += "]}]}]}";
  return text_;
}

void OtlpWriter::attributes(Attributes list) {
  text_ += '[';
  bool first = true;
  for (const auto& [key, value] : list) {
    if (!first) text_ += ',';
    first = false;
    text_ += R"({"key":)";
    quoted(key);
    if (const auto* whole = std::get_if<std::uint64_t>(&value)) {
      text_ += R"(,"value":{"intValue":")";
      number(*whole);
      text_ += R"("}})";
    } else {
      text_ += R"(,"value":{"stringValue":)";
      quoted(std::get<std::string_view>(value));
      text_ += "}}";
    }
  }
  text_ += ']';
}

// Names of devices and mount points are whatever bytes someone gave them: what is no UTF-8 becomes U+FFFD.
void OtlpWriter::quoted(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  text_ += '"';
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const auto first = static_cast<unsigned char>(text[0]);
    if (length == 0) {
      text_ += "\\ufffd";
    } else if (first == '"' || first == '\\') {
      text_ += '\\';
      text_ += text[0];
    } else if (first < 0x20) {
      text_ += "\\u00";
      text_ += kHex[first >> 4];
      text_ += kHex[first & 15];
    } else {
      text_.append(text, 0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  text_ += '"';
}

void OtlpWriter::number(std::uint64_t value) {
  char buffer[24];
  const auto done = std::to_chars(buffer, buffer + sizeof buffer, value);
  text_.append(buffer, static_cast<std::size_t>(done.ptr - buffer));
}

}  // namespace hawser::monitoring
