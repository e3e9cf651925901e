#include "otlp_writer.hpp"

#include <limits>
#include <nlohmann/json.hpp>

#include "tests/catch.hpp"

namespace hawser::monitoring {
namespace {

using Json = nlohmann::json;
using Kind = OtlpWriter::Kind;

Json metrics_of(std::string_view text) {
  return Json::parse(text).at("resourceMetrics").at(0).at("scopeMetrics").at(0).at("metrics");
}

TEST_CASE("a request is OTLP/JSON: 64-bit integers as strings, enums as integers") {
  OtlpWriter out;
  out.begin({{"device.id", "S1"}}, "1.2.3", 1'000'000'000, 9'007'199'254'740'993u);
  out.metric(Kind::counter, "a.counter", "By");
  out.point(std::uint64_t{9223372036854775807u}, {{"n", std::uint64_t{7}}, {"s", "x"}});
  out.metric(Kind::gauge, "a.gauge", "1");
  out.point(0.25);
  const std::string text(out.end());
  const Json request = Json::parse(text);
  const Json& resource = request.at("resourceMetrics").at(0).at("resource").at("attributes");
  CHECK(resource == Json::parse(R"([{"key":"device.id","value":{"stringValue":"S1"}}])"));
  const Json metrics = metrics_of(text);
  CHECK(metrics.at(0).at("sum").at("aggregationTemporality") == 2);
  CHECK(metrics.at(0).at("sum").at("isMonotonic") == true);
  const Json& point = metrics.at(0).at("sum").at("dataPoints").at(0);
  CHECK(point.at("asInt") == "9223372036854775807");
  CHECK(point.at("startTimeUnixNano") == "1000000000");
  CHECK(point.at("timeUnixNano") == "9007199254740993");
  CHECK(point.at("attributes").at(0).at("value").at("intValue") == "7");
  CHECK(metrics.at(1).at("gauge").at("dataPoints").at(0).at("asDouble") == 0.25);
  CHECK_FALSE(metrics.at(1).at("gauge").at("dataPoints").at(0).contains("startTimeUnixNano"));
}

TEST_CASE("a metric without points is left out, wherever it stands") {
  OtlpWriter out;
  out.begin({}, "1", 0, 1);
  out.metric(Kind::gauge, "first", "1");
  out.metric(Kind::gauge, "second", "1");
  out.point(std::uint64_t{1});
  out.metric(Kind::gauge, "third", "1");
  out.point(std::numeric_limits<double>::quiet_NaN());
  out.metric(Kind::gauge, "fourth", "1");
  out.point(std::uint64_t{2});
  out.metric(Kind::gauge, "fifth", "1");
  out.point(std::numeric_limits<std::uint64_t>::max());
  const Json metrics = metrics_of(out.end());
  REQUIRE(metrics.size() == 2);
  CHECK(metrics.at(0).at("name") == "second");
  CHECK(metrics.at(1).at("name") == "fourth");
}

TEST_CASE("names of any bytes come out as valid JSON in UTF-8") {
  const std::string name =
      std::string("a\"\\\n\0\x7f", 6) + "\xc3\xa9" + "\xff" + "\xed\xa0\x80" + "\xf0\x9f\x98\x80" + "\xe2\x82";
  OtlpWriter out;
  out.begin({{"k", name}}, "1", 0, 1);
  const Json request = Json::parse(out.end());  // throws on invalid UTF-8
  const std::string read =
      request.at("resourceMetrics").at(0).at("resource").at("attributes").at(0).at("value").at("stringValue");
  const std::string replaced = "\xef\xbf\xbd";
  CHECK(read == std::string("a\"\\\n\0\x7f", 6) + "\xc3\xa9" + replaced + replaced + replaced + replaced +
                    "\xf0\x9f\x98\x80" + replaced + replaced);
}

}  // namespace
}  // namespace hawser::monitoring
