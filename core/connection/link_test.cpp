// An established main connection over real TLS against a scripted cloud: what passes on it, and how it ends.
#include "core/connection/link.hpp"

#include "core/connection/test_device.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::connection;
using namespace std::chrono_literals;

namespace {

const std::string kGrant =
    R"({"service":"monitoring","protocol":"hawser.monitoring.v1","url":"wss://127.0.0.1:9/s","token":"SECRETgrant",)"
    R"("expires_in":3600,"max_message_bytes":1048576,"max_in_flight_messages":4096,"max_in_flight_bytes":8388608,)"
    R"("ping_s":60})";

void quick(config::Settings& settings) {
  settings.keepalive_interval = 1s;
  settings.keepalive_count = 2;
  settings.ping_interval = 1s;
}

Offer offer(const std::string& service) {
  return {service, "acme." + service, "2.0.0", "sha256:" + std::string(64, 'b'), {"acme." + service + ".v1"}};
}

}  // namespace

TEST_CASE("[conn-4] unanswered keepalives close the connection, and the agent registers, not authenticates") {
  TestCloud cloud(R"({"ack":false,"report_ack":false})");
  TestDevice device(cloud, quick);
  REQUIRE(device.is_established());
  for (int seq = 1; seq <= 2; ++seq) CHECK(json::integer_or(cloud.wait_for("message", "keepalive"), "seq", 0) == seq);
  const auto close = cloud.wait_for("close");
  CHECK(json::integer_or(close, "code", 0) == 4008);
  CHECK(json::text_or(close, "reason") == "keepalive_expired");
  CHECK(steps_until_open(cloud) == "register connect open");
  const auto snapshot = device.observer.told().snapshot;
  CHECK(snapshot.last_down->code == "keepalive_expired");
  CHECK(snapshot.last_down_at.has_value());
  CHECK(snapshot.last_report_failure->code == "keepalive_expired");  // the report of "up" was not acknowledged
  // seq begins anew on each main connection.
  CHECK(json::integer_or(cloud.wait_for("message", "keepalive"), "seq", 0) == 1);
}

TEST_CASE("[conn-4] answered keepalives and pings keep the connection") {
  TestCloud cloud("{}");
  TestDevice device(cloud, quick);
  REQUIRE(device.is_established());
  for (int seq = 1; seq <= 4; ++seq) CHECK(json::integer_or(cloud.wait_for("message", "keepalive"), "seq", 0) == seq);
  CHECK(cloud.story().find(R"({"seen": "ping"})") != std::string::npos);
  CHECK(cloud.story().find(R"("seen": "close")") == std::string::npos);
}

TEST_CASE("[conn-21] no byte for the ping interval and 15 s is a hang-up, and the agent closes by itself") {
  TestCloud cloud("{}");
  TestDevice device(cloud, [](config::Settings& settings) { settings.ping_interval = 1s; });
  REQUIRE(device.is_established());
  cloud.wait_for("ping");
  cloud.freeze();
  const auto frozen = Clock::now();
  REQUIRE(device.observer.wait([](const auto& t) { return t.snapshot.last_down.has_value(); }, 25s));
  CHECK(device.observer.told().snapshot.last_down->code == "hang_up");
  CHECK(Clock::now() - frozen > 14s);
  CHECK(Clock::now() - frozen < 17500ms);  // no answer to the Close is waited for
}

TEST_CASE("the cloud's close code says how the agent comes back") {
  struct Case {
    const char *order, *steps, *reason;
  };
  const auto one = GENERATE(Case{R"({"close":1000})", "register connect open", "normal"},
                            Case{R"({"close":1001})", "register connect open", "going_away"},
                            Case{R"({"close":1012})", "register connect open", "restarting"},
                            Case{R"({"close":3999,"reason":"why"})", "register connect open", ""},
                            Case{R"({"abort":true})", "register connect open", "peer_closed"},
                            Case{R"({"close":4001})", "auth register connect open", "token_withdrawn"});
  INFO(one.order);
  TestCloud cloud("{}");
  TestDevice device(cloud);
  REQUIRE(device.is_established());
  cloud.wait_for("message", "subconnection_request");
  cloud.tell(one.order);
  CHECK(steps_until_open(cloud) == one.steps);
  const auto told = device.observer.told();
  REQUIRE(told.snapshot.last_down.has_value());
  if (*one.reason != '\0') CHECK(told.snapshot.last_down->code == one.reason);
  CHECK(told.events.at(1).kind == "down");
}

TEST_CASE("closes that ask for patience get it, and a reset ends the wait") {
  struct Case {
    const char* order;
    milliseconds least, most;
  };
  const auto one = GENERATE(Case{R"({"close":1013})", 29s, 31s}, Case{R"({"close":4003})", 899s, 901s},
                            Case{R"({"close":4009,"reason":"replaced by 192.0.2.7"})", 59s, 61s},
                            Case{R"({"close":4010})", 899s, 901s});
  INFO(one.order);
  TestCloud cloud("{}");
  TestDevice device(cloud);
  REQUIRE(device.is_established());
  cloud.wait_for("message", "subconnection_request");
  cloud.tell(one.order);
  REQUIRE(device.observer.wait([](const auto& t) { return t.snapshot.next_attempt_at.has_value(); }));
  const auto told = device.observer.told();
  CHECK(told.snapshot.backoff >= one.least);
  CHECK(told.snapshot.backoff <= one.most);
  if (std::string(one.order).find("4009") != std::string::npos) {
    CHECK(told.events.back().kind == "twin");
    CHECK(told.events.back().detail == "replaced by 192.0.2.7");
  }
  device.connection->reset(false);
  CHECK(device.observer.wait([](const auto& t) { return t.snapshot.cloud_connection_state == "Established"; }));
}

TEST_CASE("what breaks the rules of the main connection ends it with its code") {
  struct Case {
    std::string order;
    int code;
  };
  const std::string bad_grant = R"({"service":"monitoring","protocol":"hawser.monitoring.v1","url":"http://a/"})";
  const auto one = GENERATE_COPY(
      Case{R"({"text":"hello"})", 1007}, Case{R"({"text":"[1]"})", 1007},
      Case{R"({"text":"{\"type\":\"a\",\"type\":\"b\"}"})", 1007}, Case{R"({"binary":"00"})", 1003},
      Case{R"({"send":{"no":"type"}})", 1008}, Case{R"({"send":{"type":7}})", 1008},
      Case{R"({"send":{"type":"keepalive_ack","seq":"1"}})", 1008}, Case{R"({"send":{"type":"drain"}})", 1008},
      Case{R"({"send":{"type":"command","id":"","name":"state","args":{}}})", 1008},
      Case{R"({"send":{"type":"command","id":"1","name":"state"}})", 1008},
      Case{R"({"send":{"type":"subconnection_revoke","service":"A B","reason":"x"}})", 1008},
      Case{R"({"send":{"type":"subconnection_update","grants":[)" + bad_grant + "]}}", 1008},
      Case{R"({"send":{"type":"subconnection_list","id":"x","grants":[],"refused":[{}]}})", 1008});
  INFO(one.order);
  TestCloud cloud("{}");
  TestDevice device(cloud);
  REQUIRE(device.is_established());
  cloud.wait_for("message", "subconnection_request");
  cloud.tell(one.order);
  CHECK(json::integer_or(cloud.wait_for("close"), "code", 0) == one.code);
  CHECK(steps_until_open(cloud) == "register connect open");
}

TEST_CASE("unknown types of messages are ignored") {
  TestCloud cloud("{}");
  TestDevice device(cloud, quick);
  REQUIRE(device.is_established());
  cloud.wait_for("message", "subconnection_request");
  cloud.tell(R"({"send":{"type":"of_tomorrow","id":"1","revision":1,"plugins":[]}})");
  cloud.tell(R"({"send":{"type":"poem","lines":["a"]}})");
  cloud.tell(R"({"send":{"type":"keepalive_ack","seq":99}})");
  cloud.tell(R"({"send":{"type":"command","id":"c","name":"anything","args":{}}})");
  CHECK(device.observer.wait([](const auto& t) { return t.commands.size() == 1; }));
  CHECK(cloud.story().find(R"("seen": "close")") == std::string::npos);
}

TEST_CASE("[sdk-11] a site profile reaches the observer, whose answer goes out as it is") {
  TestCloud cloud("{}");
  TestDevice device(cloud, quick);
  REQUIRE(device.is_established());
  cloud.wait_for("message", "subconnection_request");
  cloud.tell(
      R"({"send":{"type":"site_profile","id":"p1","site":"s","revision":4,"plugins":[{"id":"a.b","enabled":false,"config":{}}]}})");
  REQUIRE(device.observer.wait([](const auto& t) { return t.profiles.size() == 1; }));
  CHECK(device.observer.told().profiles.at(0) ==
        R"(p1 {"site":"s","revision":4,"plugins":[{"id":"a.b","enabled":false,"config":{}}]})");
  const char* answer =
      R"({"type":"site_profile_result","id":"p1","revision":4,"plugins":[{"id":"a.b","state":"stopped"}]})";
  device.connection->site_profile_result(json::parse_object(answer).value());
  CHECK(json::text_or(cloud.wait_for("message", "site_profile_result"), "type") == "site_profile_result");
}

TEST_CASE("[sdk-11] a site profile against its schema ends the connection with 1008") {
  TestCloud cloud("{}");
  TestDevice device(cloud, quick);
  REQUIRE(device.is_established());
  cloud.tell(R"({"send":{"type":"site_profile","id":"p1","site":"s","revision":4,"plugins":[{"id":"a.b"}]}})");
  CHECK(json::integer_or(cloud.wait_for("close"), "code", 0) == 1008);
}

TEST_CASE("grants, refusals, updates and revocations reach the observer") {
  TestCloud cloud(R"({"grants":[)" + kGrant + R"(],"refused":[{"service":"other","reason":"service_unknown"}]})");
  TestDevice device(cloud);
  REQUIRE(device.observer.wait([](const auto& t) { return t.lists == 1; }));
  auto told = device.observer.told();
  CHECK(json::text_or(told.grants.at(0), "token") == "SECRETgrant");
  CHECK(json::integer_or(told.grants.at(0), "reconnect_spread_s", -1) == 0);
  CHECK(told.refused.at(0).reason == "service_unknown");
  cloud.tell(R"({"send":{"type":"subconnection_revoke","service":"monitoring","reason":"plugin_blocked"}})");
  CHECK(device.observer.wait([](const auto& t) { return t.revoked.size() == 1; }));
  CHECK(device.observer.told().revoked.at(0) == "monitoring plugin_blocked");
  cloud.tell(R"({"send":{"type":"subconnection_update","grants":[]}})");
  REQUIRE(device.observer.wait([](const auto& t) { return t.lists == 2; }));
  told = device.observer.told();
  CHECK(told.grants.empty());
  CHECK(told.refused.size() == 1);
}

TEST_CASE("a changed list of services is asked for anew, at most once a second") {
  TestCloud cloud("{}");
  TestDevice device(cloud);
  REQUIRE(device.observer.wait([](const auto& t) { return t.lists == 1; }));
  cloud.wait_for("message", "subconnection_request");
  const auto began = Clock::now();
  device.connection->set_offers({offer("a")});
  device.connection->set_offers({offer("a"), offer("b")});
  device.connection->request_grants();
  const auto second = cloud.wait_for("message", "subconnection_request");
  CHECK((*json::array_member(second, "services"))->size() == 2);
  CHECK(Clock::now() - began > 500ms);
  device.connection->set_offers({});
  const auto third = cloud.wait_for("message", "subconnection_request");
  CHECK((*json::array_member(third, "services"))->size() == 0);
}

TEST_CASE("reports are repeated on the next connection until they are acknowledged") {
  TestCloud cloud(R"({"report_ack":false})");
  TestDevice device(cloud);
  const auto first = cloud.wait_for("message", "report");
  const auto up = *json::object_at(*json::array_member(first, "events"), 0);
  CHECK(json::text_or(up, "kind") == "up");
  CHECK(json::integer_or(up, "uptime_ms", -1) > 0);
  device.connection->report({"plugin_state", "monitoring", "crashed", "signal 11"});
  cloud.tell(R"({"plan":{"report_ack":true}})");
  cloud.tell(R"({"abort":true})");
  const auto second = cloud.wait_for("message", "report");
  const auto events = *json::array_member(second, "events");
  REQUIRE(events->size() >= 3);  // up, the plugin's, down, and up again
  CHECK(json::text_or(*json::object_at(events, 0), "id") == json::text_or(up, "id"));
  CHECK(json::text_or(*json::object_at(events, 1), "reason") == "crashed");
  CHECK(json::text_or(*json::object_at(events, 2), "kind") == "down");
  CHECK(device.observer.told().snapshot.last_report_failure->code == "peer_closed");
}

TEST_CASE("a repeated command is answered from what was kept, also after a reconnection") {
  TestCloud cloud("{}");
  TestDevice device(cloud);
  REQUIRE(device.is_established());
  cloud.wait_for("message", "subconnection_request");
  const std::string order = R"({"send":{"type":"command","id":"c-1","name":"state","args":{}}})";
  cloud.tell(order);
  REQUIRE(device.observer.wait([](const auto& t) { return t.commands.size() == 1; }));
  CHECK(device.observer.told().commands.at(0) == "c-1 state");
  cloud.tell(order);  // under way: not carried out twice
  auto result = json::make_object();
  result->set("answer", 42);
  device.connection->command_result("c-1", result);
  const auto first = cloud.wait_for("message", "command_result");
  CHECK(json::bool_or(first, "ok", false));
  CHECK(json::integer_or(*json::object_member(first, "result"), "answer", 0) == 42);
  cloud.tell(R"({"abort":true})");
  CHECK(steps_until_open(cloud) == "register connect open");
  cloud.tell(order);
  CHECK(json::to_text(cloud.wait_for("message", "command_result")) == json::to_text(first));
  CHECK(device.observer.told().commands.size() == 1);
}

TEST_CASE("the command reconnect is answered, then the agent leaves with 1000 and registers") {
  TestCloud cloud("{}");
  TestDevice device(cloud);
  REQUIRE(device.is_established());
  cloud.wait_for("message", "subconnection_request");
  cloud.tell(R"({"send":{"type":"command","id":"r-1","name":"reconnect","args":{}}})");
  CHECK(json::bool_or(cloud.wait_for("message", "command_result"), "ok", false));
  CHECK(json::integer_or(cloud.wait_for("close"), "code", 0) == 1000);
  CHECK(steps_until_open(cloud) == "register connect open");
}

TEST_CASE("a drain is left with 4011, and the next registration comes no sooner than it asked") {
  TestCloud cloud("{}");
  TestDevice device(cloud);
  REQUIRE(device.is_established());
  cloud.wait_for("message", "subconnection_request");
  cloud.tell(R"({"send":{"type":"drain","retry_after_s":2,"spread_s":0}})");
  const auto close = cloud.wait_for("close");
  CHECK(json::integer_or(close, "code", 0) == 4011);
  CHECK(json::text_or(close, "reason") == "drained");
  const auto left = Clock::now();
  CHECK(steps_until_open(cloud) == "register connect open");
  CHECK(Clock::now() - left > 1900ms);
  CHECK(device.observer.told().snapshot.last_down->code == "drained");
}

TEST_CASE("an operator's reset leaves with 1000 and begins a new round at once") {
  TestCloud cloud(R"({"spread":3600})");
  TestDevice device(cloud);
  REQUIRE(device.is_established());
  cloud.wait_for("message", "subconnection_request");
  device.connection->reset(false);
  CHECK(json::integer_or(cloud.wait_for("close"), "code", 0) == 1000);
  CHECK(steps_until_open(cloud) == "register connect open");
  CHECK(device.observer.told().snapshot.last_down->code == "reset_by_operator");
}

TEST_CASE("the spread of the registration is waited for after a loss") {
  TestCloud cloud(R"({"spread":3600})");
  TestDevice device(cloud);
  REQUIRE(device.is_established());
  cloud.wait_for("message", "subconnection_request");
  cloud.tell(R"({"abort":true})");
  REQUIRE(device.observer.wait([](const auto& t) { return t.snapshot.next_attempt_at.has_value(); }));
  CHECK(device.observer.told().snapshot.backoff <= 3600s);
}

TEST_CASE("reaching the cloud is told by an extra keepalive's answer, or by a status that stands for it") {
  SECTION("connected") {
    TestCloud cloud("{}");
    TestDevice device(cloud);
    REQUIRE(device.is_established());
    device.connection->reach_cloud(7);
    REQUIRE(device.observer.wait([](const auto& t) { return t.reached.size() == 1; }));
    CHECK(device.observer.told().reached.at(0) == "7 keepalive_ack");
  }
  SECTION("asked for while there is no connection") {
    TestCloud cloud(R"({"auth":[{},{"status":503,"headers":{"Retry-After":"1"}}]})");
    TestDevice device(cloud);
    REQUIRE(device.fails_with("unavailable"));
    device.connection->reach_cloud(8);
    REQUIRE(device.observer.wait([](const auto& t) { return t.reached.size() == 1; }));
    CHECK(device.observer.told().reached.at(0) == "8 keepalive_ack");
  }
  SECTION("answered with a status") {
    TestCloud cloud(R"({"auth":[{"status":500},{"status":503}]})");
    TestDevice device(cloud);
    REQUIRE(device.fails_with("bad_response"));
    device.connection->reach_cloud(9);
    REQUIRE(device.observer.wait([](const auto& t) { return t.reached.size() == 1; }));
    CHECK(device.observer.told().reached.at(0) == "9 http_503");
  }
}
