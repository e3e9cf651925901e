// A main connection while its configuration, its network and its binding change, over real TLS.
#include <algorithm>
#include <fstream>

#include "core/connection/test_device.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::connection;
using namespace std::chrono_literals;

namespace {

constexpr milliseconds kAtOnce = 1s;  // generous for a busy machine; the waits that must not be waited for are longer

// Connected, with the spread of an hour that no change must wait for.
struct Connected {
  explicit Connected(const TestDevice::Limits& limits = {}, const std::string& plan = R"({"spread":3600})")
      : cloud(plan), device(cloud, {}, limits) {
    REQUIRE(device.is_established());
    cloud.wait_for("message", "subconnection_request");
  }
  // The connection lives, and nothing that was under way has ended it.
  bool stays() {
    device.connection->reach_cloud(1);
    return device.observer.wait([](const auto& t) { return !t.reached.empty(); }) &&
           cloud.story().find(R"("seen": "close")") == std::string::npos &&
           !device.observer.told().snapshot.last_down.has_value();
  }
  TestCloud cloud;
  TestDevice device;
};

const std::string kAlwaysBusy =
    R"({"auth":[{},{"status":503,"headers":{"Retry-After":"600"}}]})";  // then honest answers

}  // namespace

TEST_CASE("[conn-25] what does not concern the connection leaves it alone") {
  Connected at;
  at.device.configure([](config::Settings& s) { s.log_level = "debug"; });
  at.device.configure([](config::Settings& s) { s.servers.push_back({"another.test", false, {}}); });
  REQUIRE(at.device.observer.wait([](const auto& t) { return t.snapshot.servers.size() == 2; }));
  CHECK(at.device.observer.told().snapshot.servers[1].current);
  CHECK(at.stays());
}

TEST_CASE("[conn-25] changed intervals, site and host name register anew, at once, with the token in hand") {
  Connected at;
  at.device.configure([](config::Settings& s) { s.keepalive_interval = 20s; });
  const auto close = at.cloud.wait_for("close");
  CHECK(json::integer_or(close, "code", 0) == 1000);
  const auto registration = at.cloud.wait_for("register");
  CHECK(json::integer_or(*json::object_member(registration, "body"), "keepalive_s", 0) == 20);
  CHECK(json::text_or(at.cloud.wait_for("open"), "seen") == "open");
  CHECK(at.cloud.story().find(R"("seen": "auth")", at.cloud.story().find(R"("seen": "close")")) == std::string::npos);
  const auto told = at.device.observer.told();
  CHECK(told.snapshot.last_down->code == "normal");
  CHECK(told.moves == 0);  // subconnections stay
}

TEST_CASE("[conn-25] another model or password authenticates anew") {
  Connected at({}, R"({"spread":3600})");
  SECTION("model") {
    at.device.configure([](config::Settings& s) { s.model = "MSR2630"; });
    const auto proof = at.cloud.wait_for("auth");
    CHECK(json::text_or(*json::object_member(proof, "body"), "model") == "MSR2630");
  }
  SECTION("[conn-15] password: its proof is shown, not itself") {
    at.cloud.tell(R"({"plan":{"password":"open sesame"}})");
    at.device.configure([](config::Settings& s) { s.password = "open sesame"; });
    const auto proof = at.cloud.wait_for("auth");
    CHECK(json::text_or(proof, "fault", "?") == "");
    CHECK(at.cloud.story().find("sesame") == std::string::npos);
  }
  CHECK(steps_until_open(at.cloud) == "register connect open");
  CHECK(at.device.observer.told().snapshot.last_down->code == "server_changed_by_config");
}

TEST_CASE("[conn-25] a server that is taken from the list is left, and the new one connected") {
  Connected at;
  TestCloud next("{}");
  const TestFolder folder;
  const auto both = (folder.path() / "both.pem").string();
  std::ofstream(both) << std::ifstream(at.cloud.ca_file()).rdbuf() << std::ifstream(next.ca_file()).rdbuf();
  at.device.configure([&](config::Settings& s) {
    s.ca_file = both;
    s.servers = {{"localhost", true, {next.port()}}};
  });
  REQUIRE(at.device.is_at(next.port()));
  const auto told = at.device.observer.told();
  CHECK(told.snapshot.last_down->code == "server_changed_by_config");
  CHECK(told.moves == 1);
  CHECK(json::integer_or(at.cloud.wait_for("close"), "code", 0) == 1000);
}

TEST_CASE("[conn-20] another configuration and a lease end the own backoff, not what the server asked for") {
  TestCloud cloud(kAlwaysBusy);
  TestDevice device(cloud);
  REQUIRE(device.fails_with("unavailable"));
  REQUIRE(device.waits());
  device.configure([](config::Settings& s) { s.site = "elsewhere"; });
  device.connection->network_changed(NetworkChange::Route);
  device.connection->network_changed(NetworkChange::Resumed);
  device.configure([](config::Settings& s) { s.servers.push_back({"localhost", false, {1}}); });  // refuses
  REQUIRE(device.observer.wait(
      [](const auto& t) { return t.snapshot.servers.size() == 2 && t.snapshot.servers[1].failure.has_value(); }));
  const auto servers = device.observer.told().snapshot.servers;
  CHECK_FALSE(servers[1].not_before.has_value());
  REQUIRE(servers[0].not_before.has_value());
  CHECK(*servers[0].not_before > Clock::now() + 590s);
  device.connection->reset(false);
  device.connection->reset(true);
  CHECK(device.is_established());
}

TEST_CASE("[conn-20] a route that comes back ends the own backoff") {
  TestCloud cloud("{}");
  TestDevice device(cloud, [](config::Settings& s) { s.authentication_port = 1; });
  // Four rounds: 1, 2, 4 and 8 s at most.
  REQUIRE(device.fails_with("connect_refused"));
  REQUIRE(device.observer.wait([](const auto& t) { return t.snapshot.backoff > 1500ms; }));
  SECTION("a route") {
    device.connection->network_changed(NetworkChange::Route);
    CHECK(device.observer.wait([](const auto& t) { return t.snapshot.backoff < 1500ms; }, 2 * kAtOnce));
  }
  SECTION("another port by configuration") {
    device.configure([&](config::Settings& s) { s.authentication_port = cloud.port(); });
    CHECK(device.observer.wait([](const auto& t) { return t.snapshot.cloud_connection_state == "Established"; },
                               kAtOnce));
  }
}

TEST_CASE("[conn-20] a change of the network is looked at with a ping, and a living connection stays") {
  TestDevice::Limits limits;
  limits.look = 300ms;
  Connected at(limits);
  at.device.connection->network_changed(NetworkChange::Route);
  CHECK(json::text_or(at.cloud.wait_for("ping"), "seen") == "ping");
  for (int i = 0; i < 1000; ++i) at.device.connection->network_changed(NetworkChange::Route);
  CHECK(json::text_or(at.cloud.wait_for("ping"), "seen") == "ping");
  CHECK(at.stays());
}

TEST_CASE(
    "[conn-19] a ping after a change of the network without an answer is a hang-up, and the spread is 2 s at most") {
  TestDevice::Limits limits;
  limits.look = 300ms;
  Connected at(limits);
  at.cloud.freeze();
  at.device.connection->network_changed(NetworkChange::Route);
  REQUIRE(at.device.is_down("hang_up"));
  REQUIRE(at.device.observer.wait([](const auto& t) { return t.snapshot.next_attempt_at.has_value(); }));
  CHECK(at.device.observer.told().snapshot.backoff <= 2s);
}

TEST_CASE("[conn-19] after a sleep the connection is given up at once, and renewed within 2 s") {
  Connected at;
  const auto began = Clock::now();
  at.device.connection->network_changed(NetworkChange::Resumed);
  REQUIRE(at.device.is_down("hang_up"));
  CHECK(Clock::now() - began < kAtOnce);
  CHECK(steps_until_open(at.cloud) == "register connect open");
  CHECK(Clock::now() - began < 2s + kAtOnce);
}

TEST_CASE(
    "[conn-16] a code unbinds the device: everything of the old binding goes, and the way back takes 15 minutes") {
  const bool keeps_open = GENERATE(false, true);
  TestCloud cloud(keeps_open ? R"({"unbind":{"ok":true},"keeps_open":true,"report_ack":false})"
                             : R"({"unbind":{"ok":true},"report_ack":false})");
  TestDevice device(cloud);
  REQUIRE(device.is_established());
  device.connection->unbind(7, "ABCD2345");
  REQUIRE(device.observer.wait([](const auto& t) { return t.unbindings.size() == 1; }));
  CHECK(json::text_or(cloud.wait_for("message", "unbind"), "code") == "ABCD2345");
  CHECK(device.observer.told().unbindings.at(0) == "7 ok");
  REQUIRE(device.is_down("unbound"));
  REQUIRE(device.waits());
  CHECK(device.observer.told().snapshot.backoff > 899s);
  SECTION("no event of the old binding reaches the next cloud") {
    device.connection->reset(false);
    REQUIRE(device.is_established());
    cloud.wait_for("open");  // the second: the first was passed over on the way to the code
    const auto next = cloud.wait_for("message", "report");
    const auto events = *json::array_member(next, "events");
    CHECK(events->size() == 1);
    CHECK(json::text_or(*json::object_at(events, 0), "kind") == "up");
  }
  SECTION("also after a restart of the agent") {
    device.restart();
    REQUIRE(device.waits());
    CHECK(device.observer.told().snapshot.backoff > 880s);
  }
}

TEST_CASE("[conn-16] a refused code, a silent cloud and a code of the wrong form each say so, and change nothing") {
  TestDevice::Limits limits;
  limits.unbind_answer = 300ms;
  struct Case {
    const char *plan, *code, *answer;
  };
  const auto one =
      GENERATE(Case{R"({"unbind":{"ok":false,"error":"code_wrong"}})", "ABCD2345", "7 code_wrong"},
               Case{R"({"unbind":{"ok":false,"error":"code_expired"}})", "ABCD2345", "7 code_expired"},
               Case{R"({"unbind":{"ok":false,"error":"code_used"}})", "ABCD2345", "7 code_used"},
               Case{R"({"unbind":{"ok":false,"error":"too_many_requests"}})", "ABCD2345", "7 too_many_requests"},
               Case{"{}", "ABCD2345", "7 timeout"}, Case{R"({"unbind":{"ok":true}})", "abcd2345", "7 code_wrong"},
               Case{R"({"unbind":{"ok":true}})", "ABCD2341", "7 code_wrong"},
               Case{R"({"unbind":{"ok":true}})", "ABCD23456", "7 code_wrong"},
               Case{R"({"unbind":{"ok":true}})", "", "7 code_wrong"});
  INFO(one.plan << one.code);
  Connected at(limits, one.plan);
  at.device.connection->unbind(7, one.code);
  REQUIRE(at.device.observer.wait([](const auto& t) { return t.unbindings.size() == 1; }));
  CHECK(at.device.observer.told().unbindings.at(0) == one.answer);
  CHECK(at.stays());
}

TEST_CASE("[conn-16] without a connection there is nobody to unbind from, and a lost one answers what was asked") {
  SECTION("none") {
    TestCloud cloud(R"({"tls":[{"stall":true}]})");
    TestDevice device(cloud);
    device.connection->unbind(7, "ABCD2345");
    CHECK(device.observer.told().unbindings == std::vector<std::string>{"7 not_connected"});
  }
  SECTION("lost") {
    Connected at({}, "{}");
    at.device.connection->unbind(7, "ABCD2345");
    at.cloud.wait_for("message", "unbind");
    at.cloud.tell(R"({"abort":true})");
    REQUIRE(at.device.observer.wait([](const auto& t) { return t.unbindings.size() == 1; }));
    CHECK(at.device.observer.told().unbindings.at(0) == "7 not_connected");
  }
  SECTION("closed with 4010 before the answer: it is done") {
    Connected at({}, "{}");
    at.device.connection->unbind(7, "ABCD2345");
    at.cloud.wait_for("message", "unbind");
    at.cloud.tell(R"({"close":4010,"reason":"unbound"})");
    REQUIRE(at.device.is_down("unbound"));
    CHECK(at.device.observer.told().unbindings == std::vector<std::string>{"7 ok"});
  }
  SECTION("unbound by the cloud") {
    Connected at({}, "{}");
    at.cloud.tell(R"({"close":4010,"reason":"unbound"})");
    REQUIRE(at.device.is_down("unbound"));
    CHECK(at.device.observer.told().unbindings == std::vector<std::string>{"0 ok"});
  }
}

TEST_CASE("[conn-16] an answer that nobody asked for unbinds nothing") {
  Connected at;
  at.cloud.tell(R"({"send":{"type":"unbind_result","id":"x","ok":true}})");
  CHECK(at.stays());
  CHECK(at.device.observer.told().unbindings.empty());
}

TEST_CASE("a proof is made for a server of the list alone") {
  TestCloud cloud("{}");
  TestDevice device(cloud);
  const std::string nonce(16, 'n');
  CHECK(device.connection->make_proof("LOCALHOST.", nonce));
  CHECK(device.connection->make_proof("evil.test", nonce).error().code == "not_found");
  CHECK(device.connection->make_proof("localhost", "short").error().code == "bad_request");
  device.configure([](config::Settings& s) { s.servers = {{"evil.test", true, {}}}; });
  CHECK(device.connection->make_proof("evil.test", nonce));
  CHECK_FALSE(device.connection->make_proof("localhost", nonce));
}

TEST_CASE("[conn-24] a twin's waits double also over a restart of the agent") {
  TestCloud cloud("{}");
  TestDevice device(cloud);
  for (const auto least : {60s, 120s}) {
    REQUIRE(device.is_established());
    cloud.wait_for("message", "subconnection_request");
    cloud.tell(R"({"close":4009,"reason":"replaced by 192.0.2.7"})");
    REQUIRE(device.waits());
    CHECK(device.observer.told().snapshot.backoff > least - 5s);
    device.restart();
    REQUIRE(device.waits());
    CHECK(device.observer.told().snapshot.backoff > least - 10s);
    CHECK(device.observer.told().snapshot.backoff <= least);
    if (least == 120s) break;
    // As a long wait would: only a reset ends the doubling, so the file is set back by hand.
    device.connection.reset();
    const auto file = device.folder.path() / "state" / "waits";
    std::ofstream(file) << R"({"boot_id":"boot-1","twins":1,"servers":[]})";
    device.restart();
  }
}
