#include "monitoring.hpp"

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "sdk/testing/fake_host.hpp"
#include "tests/catch.hpp"

namespace hawser::monitoring {
namespace {

using namespace std::chrono_literals;
using Json = nlohmann::json;
using sdk::testing::FakeHost;
using sdk::testing::FakeSubconnection;

constexpr std::chrono::seconds kBeginning{1764019015};  // 15 s after the boot of the samples

// The plugin over kept sample files, on the fake host's time.
struct Tested : Monitoring {
  static constexpr const char* kId = "hawser.monitoring";
  static constexpr const char* kVersion = "1.0.0";
  static inline FakeHost* host = nullptr;
  static inline Outside outside;
  static inline std::chrono::nanoseconds beginning = kBeginning;

  static Outside world() {
    outside.now = [] { return beginning + host->now(); };
    return outside;
  }
  explicit Tested(sdk::Context& context) : Monitoring(context, world(), kVersion) {}
};

struct Fixture {
  FakeHost host;
  Fixture() {
    Tested::host = &host;
    Tested::beginning = kBeginning;
    Tested::outside.proc = SAMPLES "/proc";
    Tested::outside.sys = SAMPLES "/sys";
    Tested::outside.space = [](const std::string&) { return Space{1000, 400, 300}; };
    REQUIRE(host.load(sdk::Binding<Tested>::table));
  }
  FakeSubconnection& start(std::string_view config = "{}") {
    REQUIRE(host.start(config) == HWS_OK);
    host.settle_down();  // resumed()
    return host.subconnection("monitoring");
  }
};

Json request_at(const FakeSubconnection& cloud, std::size_t index) {
  return Json::parse(cloud.durable_sent.at(index).data).at("resourceMetrics").at(0);
}

// Metric name -> metric.
std::map<std::string, Json> metrics_of(const Json& resource_metrics) {
  std::map<std::string, Json> metrics;
  for (const Json& metric : resource_metrics.at("scopeMetrics").at(0).at("metrics"))
    metrics[metric.at("name")] = metric;
  return metrics;
}

const Json& points_of(const Json& metric) {
  return (metric.contains("sum") ? metric.at("sum") : metric.at("gauge")).at("dataPoints");
}

std::string attribute(const Json& point, const std::string& key) {
  for (const Json& one : point.value("attributes", Json::array())) {
    if (one.at("key") != key) continue;
    const Json& value = one.at("value");
    return value.contains("intValue") ? value.at("intValue") : value.at("stringValue");
  }
  return "";
}

// The value of the point that has all these attributes.
Json value_of(const Json& metric, const std::map<std::string, std::string>& attributes) {
  for (const Json& point : points_of(metric)) {
    bool all = true;
    for (const auto& [key, value] : attributes) all = all && attribute(point, key) == value;
    if (all) return point.contains("asInt") ? point.at("asInt") : point.at("asDouble");
  }
  return nullptr;
}

std::string time_of(const Json& resource_metrics) {
  const auto metrics = metrics_of(resource_metrics);
  return points_of(metrics.at("system.cpu.time")).at(0).at("timeUnixNano");
}

TEST_CASE("[mon-1] a sample holds what the device has, under OpenTelemetry's names and units") {
  Fixture fixture;
  const FakeSubconnection& cloud = fixture.start();
  REQUIRE(cloud.durable_sent.size() == 1);
  CHECK(cloud.protocol == "hawser.monitoring.v1");
  CHECK(cloud.durable_sent.at(0).flags == HWS_COMPRESS);
  auto metrics = metrics_of(request_at(cloud, 0));
  CHECK(value_of(metrics["system.cpu.time"], {{"cpu.logical_number", "1"}, {"cpu.mode", "system"}}) == 26.88);
  CHECK(metrics["system.cpu.time"].at("unit") == "s");
  CHECK(metrics["system.cpu.time"].at("sum").at("isMonotonic") == true);
  CHECK(points_of(metrics["system.cpu.time"]).at(0).at("startTimeUnixNano") == "1764019000000000000");
  CHECK(value_of(metrics["system.cpu.load_average.15m"], {}) == 12.07);
  CHECK(value_of(metrics["system.memory.limit"], {}) == "25276514304");
  CHECK(value_of(metrics["system.memory.usage"], {{"system.memory.state", "free"}}) == "24853512192");
  CHECK(value_of(metrics["system.paging.usage"], {{"system.device", "/dev/sda2"}, {"system.paging.state", "used"}}) ==
        "1048576");
  CHECK(value_of(metrics["system.disk.io"], {{"system.device", "sda"}, {"disk.io.direction", "write"}}) == "81920000");
  CHECK(value_of(metrics["system.disk.operations"], {{"system.device", "sda"}, {"disk.io.direction", "read"}}) ==
        "1000");
  const std::map<std::string, std::string> out = {{"network.interface.name", "eth0"},
                                                  {"network.io.direction", "transmit"}};
  CHECK(value_of(metrics["system.network.io"], out) == "196148");
  CHECK(value_of(metrics["system.network.packet.count"], out) == "2497");
  CHECK(value_of(metrics["system.network.errors"], out) == "3");
  CHECK(value_of(metrics["system.network.packet.dropped"], out) == "4");
  CHECK(value_of(metrics["hw.network.up"], {{"hw.id", "eth0"}}) == "1");
  CHECK(value_of(metrics["hw.network.up"], {{"hw.id", "wan1"}}) == "0");
  CHECK(value_of(metrics["hw.temperature"], {{"hw.name", "coretemp Package id 0"}}) == 45.5);
  CHECK(value_of(metrics["hw.temperature"], {{"hw.id", "thermal_zone0"}}) == -4.0);
  CHECK(value_of(metrics["system.uptime"], {}) == 15.07);
  CHECK(value_of(metrics["system.process.count"], {}) == "2");
  CHECK(value_of(metrics["system.linux.file_handle.count"], {}) == "591");
  CHECK(value_of(metrics["system.network.conntrack.count"], {}) == "17");
}

TEST_CASE("[mon-1] file systems are those on this machine's devices, each once; partitions are not counted twice") {
  Fixture fixture;
  const FakeSubconnection& cloud = fixture.start();
  auto metrics = metrics_of(request_at(cloud, 0));
  std::set<std::string> points, devices;
  for (const Json& point : points_of(metrics["system.filesystem.usage"])) {
    points.insert(attribute(point, "system.filesystem.mountpoint"));
  }
  CHECK(points == std::set<std::string>{"/", "/mnt/usb disk"});
  CHECK(value_of(metrics["system.filesystem.usage"], {{"system.filesystem.mountpoint", "/mnt/usb disk"},
                                                      {"system.filesystem.state", "reserved"}}) == "100");
  for (const Json& point : points_of(metrics["system.disk.io"])) devices.insert(attribute(point, "system.device"));
  CHECK(devices == std::set<std::string>{"sda", "sdb"});
}

TEST_CASE("[mon-1] the resource says whose sample it is, and whether its clock is set") {
  Fixture fixture;
  FakeSubconnection& cloud = fixture.start();
  const auto resource = [&](std::size_t index) {
    std::map<std::string, std::string> found;
    const Json request = request_at(cloud, index);
    for (const Json& one : request.at("resource").at("attributes")) {
      found[one.at("key")] = one.at("value").at("stringValue");
    }
    return found;
  };
  CHECK(resource(0) == std::map<std::string, std::string>{{"device.id", "TEST0001"},
                                                          {"host.name", "test-host"},
                                                          {"hawser.site", "test-site"},
                                                          {"hawser.clock", "unset"}});
  Tested::beginning = 1893456000s;  // 2030
  fixture.host.facts["device.site"] = "";
  cloud.text(R"({"type":"set_interval","interval_s":20})");
  CHECK(resource(1) ==
        std::map<std::string, std::string>{{"device.id", "TEST0001"}, {"host.name", "test-host"}, {"hawser.site", ""}});
}

TEST_CASE("[mon-1] the utilization of a core sums up to one, from the second sample on") {
  Fixture fixture;
  Tested::outside.proc = "/proc";  // the counters of this machine move
  FakeSubconnection& cloud = fixture.start(R"({"interval":1})");
  CHECK(metrics_of(request_at(cloud, 0)).count("system.cpu.utilization") == 0);
  const auto busy = std::chrono::steady_clock::now() + 60ms;  // let a few ticks of 10 ms pass on every core
  while (std::chrono::steady_clock::now() < busy) {
  }
  REQUIRE(fixture.host.run_until([&] { return cloud.durable_sent.size() == 2; }));
  std::map<std::string, double> sums;
  auto metrics = metrics_of(request_at(cloud, 1));
  for (const Json& point : points_of(metrics["system.cpu.utilization"])) {
    sums[attribute(point, "cpu.logical_number")] += point.at("asDouble").get<double>();
  }
  REQUIRE_FALSE(sums.empty());
  for (const auto& [core, sum] : sums) CHECK(std::abs(sum - 1.0) < 1e-9);
}

TEST_CASE("[mon-1] this machine's own /proc and /sys are read, whatever they hold") {
  Fixture fixture;
  Tested::outside = Outside{};
  const FakeSubconnection& cloud = fixture.start();
  auto metrics = metrics_of(request_at(cloud, 0));
  for (const char* name :
       {"system.cpu.time", "system.memory.usage", "system.uptime", "system.network.io", "system.process.count"}) {
    INFO(name);
    CHECK(metrics.count(name) == 1);
  }
}

TEST_CASE("[mon-1] a device without /proc and /sys still sends a valid sample") {
  Fixture fixture;
  Tested::outside.proc = Tested::outside.sys = "/does/not/exist";
  const FakeSubconnection& cloud = fixture.start();
  CHECK(metrics_of(request_at(cloud, 0)).count("hawser.monitoring.samples.dropped") == 1);
}

TEST_CASE("[mon-2] samples are one interval apart, ten seconds by default, at a point that is the device's own") {
  Fixture fixture;
  FakeSubconnection& cloud = fixture.start();
  fixture.host.advance(60s);
  REQUIRE(cloud.durable_sent.size() == 7);  // one at start, six on the grid
  for (std::size_t i = 2; i < 7; ++i) {
    CHECK(std::stoll(time_of(request_at(cloud, i))) - std::stoll(time_of(request_at(cloud, i - 1))) == 10'000'000'000);
  }
  std::set<std::int64_t> delays;
  for (int serial = 0; serial < 200; ++serial) {
    const auto delay = until_next_sample(1764019015123ms, 10s, "SERIAL" + std::to_string(serial));
    CHECK((delay > 0ms && delay <= 10s));
    delays.insert(delay.count() / 1000);
  }
  CHECK(delays.size() == 10);  // a fleet spreads over the whole interval
}

TEST_CASE("[mon-2] a change of interval from the cloud holds at once, and nonsense changes nothing") {
  Fixture fixture;
  FakeSubconnection& cloud = fixture.start(R"({"interval":"1h"})");
  fixture.host.advance(1s);
  const std::size_t before = cloud.durable_sent.size();
  for (const char* nonsense :
       {"", "[]", "{}", R"({"type":"set_interval"})", R"({"type":"set_interval","interval_s":0})",
        R"({"type":"set_interval","interval_s":3601})", R"({"type":"set_interval","interval_s":"2"})",
        R"({"type":"set_interval","interval_s":1e300})", R"({"type":7,"interval_s":2})"}) {
    cloud.text(nonsense);
  }
  CHECK(cloud.durable_sent.size() == before);
  cloud.text(R"({"type":"set_interval","interval_s":2})");
  CHECK(cloud.durable_sent.size() == before + 1);
  fixture.host.advance(20s);
  CHECK(cloud.durable_sent.size() == before + 11);
}

TEST_CASE("[mon-2] the operator's interval is checked, and changes without a restart") {
  Fixture fixture;
  FakeSubconnection& cloud = fixture.start(R"({"interval":"5m"})");
  for (const char* wrong :
       {R"({"interval":"0s"})", R"({"interval":"61m"})", R"({"interval":0})", R"({"interval":-1})",
        R"({"interval":3601})", R"({"interval":1.5})", R"({"interval":"10"})", R"({"interval":"s"})",
        R"({"interval":null})", R"({"interval":18446744073709551615})", R"({"intervall":"10s"})", "[]", ""}) {
    INFO(wrong);
    CHECK(fixture.host.configure(wrong, false) == HWS_E_INVALID);
    CHECK(fixture.host.refusal.size() > 20);
    CHECK(fixture.host.refusal.find('\n') == std::string::npos);
  }
  CHECK(fixture.host.configure(R"({"interval":"2s"})", true) == HWS_OK);
  fixture.host.advance(10s);
  CHECK(cloud.durable_sent.size() == 6);
}

TEST_CASE("[mon-2] samples taken offline are sent with their own time; when the outbox is full new ones are counted") {
  Fixture fixture;
  FakeSubconnection& cloud = fixture.start(R"({"interval":1})");  // never opened: the cloud is away
  fixture.host.advance(30s);
  std::set<std::string> times;
  for (std::size_t i = 0; i < cloud.durable_sent.size(); ++i) times.insert(time_of(request_at(cloud, i)));
  CHECK(times.size() == 31);

  cloud.outbox_full = true;
  fixture.host.advance(5s);
  CHECK(fixture.host.logged("the outbox is full"));
  CHECK(fixture.host.logs.size() == 1);  // said once, not five times
  cloud.outbox_full = false;
  cloud.writable();
  fixture.host.advance(1s);
  auto metrics = metrics_of(request_at(cloud, cloud.durable_sent.size() - 1));
  CHECK(value_of(metrics["hawser.monitoring.samples.dropped"], {}) == "5");
}

TEST_CASE("[mon-2] a sample longer than the grant allows is dropped alone") {
  Fixture fixture;
  FakeSubconnection& cloud = fixture.start(R"({"interval":1})");
  cloud.max_message_bytes = 10;
  fixture.host.advance(1s);
  cloud.max_message_bytes = 1 << 20;
  fixture.host.advance(1s);
  CHECK(cloud.durable_sent.size() == 2);
  CHECK_FALSE(fixture.host.healthy(HWS_FAULTED));
}

}  // namespace
}  // namespace hawser::monitoring
