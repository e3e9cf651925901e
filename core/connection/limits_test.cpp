// Limits, clocks and tokens of the main connection over real TLS.
#include "core/transport/limits.hpp"

#include <algorithm>
#include <ctime>
#include <fstream>

#include "core/connection/test_device.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::connection;
using namespace std::chrono_literals;

namespace {

std::int64_t boot_ms() {
  timespec time{};
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  return static_cast<std::int64_t>(time.tv_sec) * 1000 + time.tv_nsec / 1'000'000;
}

std::string http_date(std::chrono::system_clock::time_point at) {
  const std::time_t whole = std::chrono::system_clock::to_time_t(at);
  std::tm parts{};
  ::gmtime_r(&whole, &parts);
  char text[64];
  std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return text;
}

}  // namespace

TEST_CASE("[conn-21] the limits are those of the protocol") {
  const MainConnection::Limits limits;
  CHECK(limits.attempt == 45s);
  CHECK(limits.attempt == transport::kAttemptLimit);
  CHECK(limits.list_answer == 30s);
  CHECK(limits.look == 10s);
  CHECK(limits.unbind_answer == 15s);
  CHECK(transport::kDnsLimit == 5s);
  CHECK(transport::kConnectLimit == 10s);
  CHECK(transport::kTlsLimit == 10s);
  CHECK(transport::kHttpLimit == 15s);
}

TEST_CASE("[conn-21] an attempt whose steps are each in time, but not all together, is an attempt_timeout") {
  // Each answer within its own limit of 15 s, as 3 x 400 ms are within an attempt's of 45 s, here of 1 s.
  const std::string slow = R"({"delay_ms":400})";
  TestCloud cloud(R"({"auth":[)" + slow + "," + slow + R"(],"register":[)" + slow + "]}");
  TestDevice::Limits limits;
  limits.attempt = 1s;
  const auto began = Clock::now();
  TestDevice device(cloud, {}, limits);
  CHECK(device.fails_with("attempt_timeout"));
  CHECK(Clock::now() - began < 2s);
  CHECK(device.is_established());  // in the next attempt, whose answers come at once
}

TEST_CASE("a list of subconnections that is not answered is asked for again with a new id, and a late answer counts") {
  TestCloud cloud(R"({"mute":true})");
  TestDevice::Limits limits;
  limits.list_answer = 1100ms;
  TestDevice device(cloud, {}, limits);
  const auto first = cloud.wait_for("message", "subconnection_request");
  const auto asked = Clock::now();
  const auto second = cloud.wait_for("message", "subconnection_request");
  CHECK(Clock::now() - asked > 900ms);
  CHECK(json::text_or(first, "id") != json::text_or(second, "id"));
  CHECK(device.observer.told().lists == 0);
  cloud.tell(R"({"send":{"type":"subconnection_list","id":")" + json::text_or(first, "id") +
             R"(","grants":[],"refused":[{"service":"monitoring","reason":"microservice_down"}]}})");
  CHECK(device.observer.wait([](const auto& t) { return t.lists == 1 && t.refused.size() == 1; }));
}

TEST_CASE("a token counts as long as the cloud said, from its receipt, and its end ends no connection") {
  const int life = GENERATE(1, 3600);
  TestCloud cloud(R"({"expires_in":)" + std::to_string(life) + "}");
  TestDevice device(cloud, [](config::Settings& s) { s.ping_interval = 1s; });
  REQUIRE(device.is_established());
  for (int i = 0; i < 2; ++i) CHECK(json::text_or(cloud.wait_for("ping"), "seen") == "ping");  // 2 s later
  CHECK_FALSE(device.observer.told().snapshot.last_down.has_value());
  cloud.tell(R"({"abort":true})");
  CHECK(steps_until_open(cloud) == (life == 1 ? "auth register connect open" : "register connect open"));
}

TEST_CASE("events carry the time since boot and the wall clock's") {
  TestCloud cloud("{}");
  const auto before = boot_ms();
  TestDevice device(cloud);
  const auto report = cloud.wait_for("message", "report");
  const auto up = *json::object_at(*json::array_member(report, "events"), 0);
  const auto uptime = json::integer_or(up, "uptime_ms", -1);
  CHECK(uptime >= before);
  CHECK(uptime <= boot_ms());
  const auto now = std::chrono::system_clock::now();
  std::tm parts{};
  REQUIRE(::strptime(json::text_or(up, "at").c_str(), "%Y-%m-%dT%H:%M:%S", &parts) != nullptr);
  const auto at = std::chrono::system_clock::from_time_t(::timegm(&parts));
  CHECK(at <= now);
  CHECK(at > now - 60s);
}

TEST_CASE("[conn-23] a clock behind what the cloud once told does not lock the device out, and the state says so") {
  TestCloud cloud("{}");
  TestDevice device(cloud);
  REQUIRE(device.is_established());
  CHECK_FALSE(device.observer.told().snapshot.clock_floor_used);
  cloud.wait_for("message", "report");  // of this life
  device.connection.reset();
  const auto later = std::chrono::system_clock::now() + 24h;  // still within the certificate
  std::ofstream(device.folder.path() / "state" / "validity_floor")
      << std::chrono::duration_cast<std::chrono::seconds>(later.time_since_epoch()).count();
  device.restart();
  REQUIRE(device.is_established());
  CHECK(device.observer.told().snapshot.clock_floor_used);
  const auto again = cloud.wait_for("message", "report");
  const auto event = *json::object_at(*json::array_member(again, "events"), 0);
  CHECK(event->isNull("at"));  // a clock that is known to be wrong dates nothing
}

TEST_CASE("[conn-23] how far the clock is ahead of the cloud's stands in the state") {
  const std::string dated = R"({"headers":{"Date":")" + http_date(std::chrono::system_clock::now() - 24h) + R"("}})";
  TestCloud cloud(R"({"auth":[)" + dated + "," + dated + R"(],"register":[)" + dated +
                  R"(],"connect":[{"stall":true}]})");
  TestDevice device(cloud);
  REQUIRE(device.observer.wait([](const auto& t) { return t.snapshot.device_state == "Request_handshake"; }));
  const auto ahead = device.observer.told().snapshot.clock_ahead;
  REQUIRE(ahead.has_value());
  CHECK(*ahead >= 24h - 60s);
  CHECK(*ahead <= 24h + 60s);
}

TEST_CASE("[conn-18] names are resolved again for every attempt") {
  TestCloud cloud("{}");
  TestDevice device(cloud);
  REQUIRE(device.is_established());
  const auto look_ups = [&] {
    const auto processes = device.observer.told().processes;
    return std::count(processes.begin(), processes.end(), "DNS not parsed");
  };
  const auto before = look_ups();
  CHECK(before >= 1);
  cloud.wait_for("message", "subconnection_request");
  cloud.tell(R"({"abort":true})");
  CHECK(steps_until_open(cloud) == "register connect open");
  REQUIRE(device.is_established());
  CHECK(look_ups() > before);
}

TEST_CASE("[conn-14] a grant tells the host how the main connection is bound") {
  const std::string grant =
      R"({"service":"monitoring","protocol":"hawser.monitoring.v1","url":"wss://127.0.0.1:9/s","token":"t",)"
      R"("expires_in":3600,"max_message_bytes":1048576,"max_in_flight_messages":4096,"max_in_flight_bytes":8388608,)"
      R"("ping_s":60})";
  TestCloud cloud(R"({"grants":[)" + grant + "]}");
  TestDevice device(cloud, [](config::Settings& s) {
    s.servers[0].binding.ip_version = IpVersion::V4;
    s.servers[0].binding.source_ip = "127.0.0.1";
  });
  REQUIRE(device.observer.wait([](const auto& t) { return t.lists == 1; }));
  const auto binding = json::object_member(device.observer.told().grants.at(0), "binding");
  REQUIRE(binding);
  CHECK(json::text_or(*binding, "ip_version") == "4");
  CHECK(json::text_or(*binding, "vpn_instance", "?") == "");
  CHECK(json::text_or(*binding, "source_ip") == "127.0.0.1");
}

TEST_CASE("[conn-14] a source address and a VRF that are missing are a reason, and the next server follows") {
  struct Case {
    Binding binding;
    const char* code;
  };
  const auto one = GENERATE(Case{{IpVersion::Any, "", "192.0.2.77"}, "source_ip_missing"},
                            Case{{IpVersion::Any, "no-such-vrf", ""}, "vpn_instance_missing"});
  INFO(one.code);
  TestCloud cloud("{}");
  TestDevice device(cloud, [&](config::Settings& s) {
    s.servers = {{"127.0.0.1", true, {}, one.binding}, {"localhost", false, {}}};
  });
  REQUIRE(device.is_established());
  const auto servers = device.observer.told().snapshot.servers;
  REQUIRE(servers[0].failure);
  CHECK(servers[0].failure->code == one.code);
  CHECK(servers[1].current);
}
