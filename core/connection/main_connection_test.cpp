// The main connection over real TLS against a scripted cloud: the way up, and what can go wrong on it.
#include "core/connection/main_connection.hpp"

#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>

#include <fstream>
#include <sstream>

#include "core/connection/test_device.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::connection;
using namespace std::chrono_literals;

namespace {

constexpr milliseconds kAtOnce = 1s;  // generous for a busy machine; the waits that must not be waited for are longer

json::Object body_of(const json::Object& seen) { return *json::object_member(seen, "body"); }
std::string error_answer(int status, const std::string& code, const std::string& more = "") {
  return R"({"status":)" + std::to_string(status) + R"(,"body":{"error":{"code":")" + code + R"(","message":"m"}})" +
         more + "}";
}
const std::string kGrant =
    R"({"service":"monitoring","protocol":"hawser.monitoring.v1","url":"wss://127.0.0.1:9/s","token":"SECRETgrant",)"
    R"("expires_in":3600,"max_message_bytes":1048576,"max_in_flight_messages":4096,"max_in_flight_bytes":8388608,)"
    R"("ping_s":60})";

}  // namespace

TEST_CASE("[conn-1] the agent authenticates, registers, upgrades and asks for its subconnections, in this order") {
  TestCloud cloud(R"({"grants":[)" + kGrant + R"(],"refused":[]})");
  TestDevice device(cloud);
  const bool established = device.is_established();
  INFO(device.observer.failure());
  REQUIRE(established);

  const auto without_proof = cloud.next();
  CHECK(json::text_or(without_proof, "seen") == "auth");
  CHECK(json::text_or(without_proof, "fault") == "no proof");
  CHECK(json::text_or(without_proof, "method") == "POST");
  CHECK(json::text_or(without_proof, "target") == "/hawser/v1/auth");
  CHECK(json::text_or(body_of(without_proof), "serial") == "TEST-1");
  const auto with_proof = cloud.next();
  CHECK(json::text_or(with_proof, "seen") == "auth");
  CHECK(json::text_or(with_proof, "fault", "?") == "");  // verified by python3-cryptography
  CHECK(json::text_or(body_of(with_proof), "agent") == "hawser/0.1.0");
  const auto registration = cloud.next();
  CHECK(json::text_or(registration, "seen") == "register");
  CHECK(json::text_or(registration, "bearer").starts_with("Bearer SECRETtok"));
  const auto body = body_of(registration);
  CHECK(json::text_or(body, "boot_id") == "boot-1");
  CHECK(json::text_or(body, "site") == "branch-042");
  CHECK(json::integer_or(body, "keepalive_s", 0) == 180);
  CHECK(json::integer_or(body, "ping_s", 0) == 60);
  CHECK((*json::array_member(body, "services"))->size() == 1);
  const auto upgrade = cloud.next();
  CHECK(json::text_or(upgrade, "seen") == "connect");
  CHECK(json::bool_or(upgrade, "bearer_ok", false));
  CHECK(json::text_or(upgrade, "protocol") == "hawser.main.v1");
  CHECK(json::text_or(cloud.next(), "seen") == "open");
  const auto request = json::object_member(cloud.next(), "message");
  REQUIRE(request);
  CHECK(json::text_or(*request, "type") == "subconnection_request");

  // One TLS stream carries authentication and registration.
  CHECK(json::text_or(without_proof, "connection") == json::text_or(registration, "connection"));
  CHECK(json::text_or(upgrade, "connection") != json::text_or(registration, "connection"));
  CHECK(device.observer.wait([](const auto& t) { return t.grants.size() == 1; }));
  const auto told = device.observer.told();
  CHECK(told.states == std::vector<std::string>{"Idle", "Connecting", "Request_auth", "Request_auth_success",
                                                "Register", "Register_success", "Request_handshake",
                                                "Request_success"});
  CHECK(told.snapshot.server_domain == "localhost");
  CHECK(told.snapshot.server_address == "127.0.0.1");
  CHECK(told.snapshot.authentication_port == cloud.port());
  CHECK(told.snapshot.connection_port == cloud.connect_port());
  CHECK(told.snapshot.process_state == "Message received");
  CHECK(told.snapshot.connected_at.has_value());
  CHECK_FALSE(told.snapshot.failure);
  CHECK(told.events.at(0).kind == "up");
}

TEST_CASE("[conn-2] an unknown serial is refused, shown with its reason, and asked for again after minutes") {
  TestCloud cloud(R"({"auth":[{},)" + error_answer(403, "unknown_serial") + "]}");
  TestDevice device(cloud);
  REQUIRE(device.fails_with("unknown_serial"));
  CHECK(device.observer.wait([](const auto& t) { return t.snapshot.next_attempt_at.has_value(); }));
  const auto snapshot = device.observer.told().snapshot;
  CHECK(snapshot.cloud_connection_state == "Unconnected");
  CHECK(snapshot.device_state == "Idle");
  CHECK(snapshot.backoff > 59s);
  CHECK(snapshot.backoff <= 5min);
  SECTION("an operator's reset asks at once") {
    device.connection->reset(false);
    CHECK(device.is_established());
  }
}

TEST_CASE("[conn-3] the WebSocket goes to the URL of the registration, whatever host and port it names") {
  SECTION("another host and port") {
    TestCloud cloud(R"({"url":"wss://127.0.0.1:{connect_port}/somewhere/else"})");
    TestDevice device(cloud);
    REQUIRE(device.is_established());
    const auto upgrade = cloud.wait_for("connect");
    CHECK(json::text_or(upgrade, "target") == "/somewhere/else");
    CHECK(json::text_or(upgrade, "host") == "127.0.0.1:" + std::to_string(cloud.connect_port()));
    CHECK(device.observer.told().snapshot.connection_port == cloud.connect_port());
  }
  SECTION("the same host and port") {
    TestCloud cloud(R"({"url":"wss://localhost:{port}/x"})");
    TestDevice device(cloud);
    REQUIRE(device.is_established());
    CHECK(json::text_or(cloud.wait_for("connect"), "host") == "localhost:" + std::to_string(cloud.port()));
  }
}

TEST_CASE("[conn-6] a server's own port goes before the authentication port") {
  TestCloud cloud("{}");
  TestDevice device(cloud, [&](config::Settings& settings) {
    CHECK(config::Settings().authentication_port == 19443);
    settings.authentication_port = 1;
    settings.servers = {{"localhost", true, {cloud.port()}}};
  });
  REQUIRE(device.is_established());
  CHECK(device.observer.told().snapshot.authentication_port == cloud.port());
}

TEST_CASE("a cloud that answers nonsense is bad_response, and the wait of a round follows") {
  struct Case {
    std::string plan;
    const char* words;
  };
  const auto one = GENERATE(
      Case{R"({"auth":[{"status":302,"headers":{"Location":"https://evil.test/"},"body":"moved"}]})", "redirect"},
      Case{R"({"auth":[{"status":200,"body":"<html>hello</html>"}]})", "<html>hello</html>"},
      Case{R"({"auth":[{"status":500,"body":"<html>oops</html>"}]})", "<html>oops</html>"},
      Case{R"({"auth":[{"status":200,"size":71680}]})", ""},
      Case{R"({"auth":[{"status":200,"body":{"token":7,"expires_in":"x"}}]})", "token"},
      Case{R"({"auth":[{"status":401,"body":"who?"}]})", "who?"},
      Case{R"({"auth":[{"headers":{"Hawser-Nonce":"!"}}]})", "Hawser-Nonce"},
      Case{R"({"register":[{"status":200,"body":{"url":"ws://127.0.0.1/x","reconnect_spread_s":1}}]})", "not wss"},
      Case{R"({"register":[{"status":200,"body":[1,2]}]})", "not one JSON object"});
  TestCloud cloud(one.plan);
  TestDevice device(cloud);
  REQUIRE(device.fails_with("bad_response"));
  INFO(device.observer.failure());
  CHECK(device.observer.failure().find(one.words) != std::string::npos);
  CHECK(device.is_established());  // after 1 s, the first backoff
}

TEST_CASE("the third nonce_required in a row ends the attempt") {
  const std::string again = error_answer(401, "nonce_required");
  TestCloud cloud(R"({"auth":[)" + again + "," + again + "," + again + "]}");
  TestDevice device(cloud);
  REQUIRE(device.fails_with("nonce_required"));
  for (int i = 0; i < 3; ++i) CHECK(json::text_or(cloud.next(), "seen") == "auth");
  CHECK(device.is_established());
}

TEST_CASE("429 and 503 wait as long as Retry-After says") {
  const auto* step = GENERATE("auth", "register", "connect");
  INFO(step);
  TestCloud cloud(std::string(R"({")") + step + R"(":[)" +
                  error_answer(429, "too_many_requests", R"(,"headers":{"Retry-After":"2"})") + "]}");
  TestDevice device(cloud);
  REQUIRE(device.fails_with("too_many_requests"));
  CHECK(device.observer.wait([](const auto& t) { return t.snapshot.next_attempt_at.has_value(); }));
  const auto backoff = device.observer.told().snapshot.backoff;
  CHECK(backoff > 1900ms);
  CHECK(backoff <= 2400ms);
  CHECK(device.is_established());
}

TEST_CASE("a refused token is replaced, an unknown registration renewed, each within the attempt") {
  SECTION("401 of the registration") {
    TestCloud cloud(R"({"register":[)" + error_answer(401, "token_expired") + "]}");
    TestDevice device(cloud);
    REQUIRE(device.is_established());
    // The answer brought a nonce, so that one exchange is enough.
    for (const auto* step : {"auth", "auth", "register", "auth", "register", "connect"})
      CHECK(json::text_or(cloud.next(), "seen") == step);
  }
  SECTION("401 of the upgrade") {
    TestCloud cloud(R"({"connect":[)" + error_answer(401, "token_expired") + "]}");
    TestDevice device(cloud);
    REQUIRE(device.is_established());
    for (const auto* step : {"auth", "auth", "register", "connect", "auth", "register", "connect"})
      CHECK(json::text_or(cloud.next(), "seen") == step);
  }
  SECTION("404 of the upgrade") {
    TestCloud cloud(R"({"connect":[)" + error_answer(404, "not_found") + "]}");
    TestDevice device(cloud);
    REQUIRE(device.is_established());
    for (const auto* step : {"auth", "auth", "register", "connect", "register", "connect"})
      CHECK(json::text_or(cloud.next(), "seen") == step);
  }
  SECTION("410 of the upgrade, twice") {
    const std::string gone = error_answer(410, "not_registered");
    TestCloud cloud(R"({"connect":[)" + gone + "," + gone + "]}");
    TestDevice device(cloud);
    CHECK(device.fails_with("upgrade_refused"));
  }
}

TEST_CASE("a server that does not keep its connection open is dialled again for each exchange") {
  TestCloud cloud(R"({"auth":[{"keep_alive":false},{"keep_alive":false}],"register":[{"keep_alive":false}]})");
  TestDevice device(cloud);
  CHECK(device.is_established());
}

TEST_CASE("a request that was dropped on a used connection is sent once more on a fresh one") {
  TestCloud cloud(R"({"register":[{"drop":true}]})");
  TestDevice device(cloud);
  REQUIRE(device.is_established());
  CHECK_FALSE(device.observer.told().snapshot.failure);
  for (const auto* step : {"auth", "auth", "register", "register", "connect"})
    CHECK(json::text_or(cloud.next(), "seen") == step);
}

TEST_CASE("[sec-1] a certificate for another host is refused, and no token leaves the device") {
  TestCloud cloud(R"({"names":["other.test"]})");
  TestDevice device(cloud);
  REQUIRE(device.fails_with("tls_failed"));
  CHECK(json::text_or(cloud.next(300ms), "seen") != "auth");
}

TEST_CASE("[sec-1] a certificate of another authority is refused") {
  TestCloud cloud("{}"), stranger("{}");
  TestDevice device(cloud, [&](config::Settings& settings) { settings.ca_file = stranger.ca_file(); });
  CHECK(device.fails_with("tls_failed"));
}

TEST_CASE("[sec-1] a stalled handshake does not open a way round the wrong host name") {
  TestCloud cloud(R"({"names":["other.test"],"tls":[{"stall":true}]})");
  TestDevice device(cloud);
  REQUIRE(json::text_or(cloud.next(), "seen") == "tls stalled");
  CHECK(device.fails_with("tls_failed"));
  CHECK(device.observer.wait([](const auto& t) { return t.snapshot.next_attempt_at.has_value(); }));
  CHECK(cloud.story().find("auth") == std::string::npos);
}

TEST_CASE("[conn-23] a date beyond the certificate that vouches for it does not shut the device out") {
  const std::string future = R"({"headers":{"Date":"Wed, 01 Jan 2098 00:00:00 GMT"}})";
  TestCloud cloud(R"({"auth":[)" + future + "," + future + R"(],"register":[)" + future + "]}");
  TestDevice device(cloud);
  INFO(cloud.story());
  CHECK(device.is_established());  // over a connection that was dialled after the dates were heard
}

TEST_CASE("a refused connection is shown as such") {
  TestCloud cloud("{}");
  TestDevice device(cloud, [](config::Settings& settings) { settings.authentication_port = 1; });
  CHECK(device.fails_with("connect_refused"));
}

TEST_CASE("a stop ends every phase at once") {
  struct Case {
    std::string plan;
    const char* state;
  };
  const auto one = GENERATE(
      Case{R"({"tls":[{"stall":true}]})", "Connecting"}, Case{R"({"auth":[{"stall":true}]})", "Request_auth"},
      Case{R"({"register":[{"stall":true}]})", "Register"}, Case{R"({"tls":[{},{"stall":true}]})", "Register_success"},
      Case{R"({"connect":[{"stall":true}]})", "Request_handshake"}, Case{"{}", "Request_success"},
      Case{R"({"auth":[{"status":500}]})", "Waiting"});
  INFO(one.state);
  TestCloud cloud(one.plan);
  TestDevice device(cloud);
  REQUIRE(device.observer.wait([&](const auto& t) {
    if (std::string(one.state) == "Waiting") return t.snapshot.next_attempt_at.has_value();
    return t.snapshot.device_state == one.state;
  }));
  CHECK(device.stop() < kAtOnce);
  CHECK(device.observer.told().snapshot.device_state == "Idle");
  if (std::string(one.state) != "Request_success") return;
  const auto close = cloud.wait_for("close");
  CHECK(json::integer_or(close, "code", 0) == 1000);
}

TEST_CASE("[sec-2] tokens stand in no line of the log") {
  std::ostringstream log;
  const auto before = spdlog::default_logger();
  spdlog::set_default_logger(
      std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log)));
  spdlog::set_level(spdlog::level::trace);
  {
    TestCloud cloud(R"({"auth":[{},{"status":503}],"grants":[)" + kGrant + "]}");
    TestDevice device(cloud);
    CHECK(device.observer.wait([](const auto& t) { return t.lists == 1; }));
  }
  spdlog::set_default_logger(before);
  CHECK(log.str().find("established") != std::string::npos);
  CHECK(log.str().find("SECRET") == std::string::npos);
}

TEST_CASE("[sec-2] tokens stand in no file of the state folder, and the key is for its owner alone") {
  TestCloud cloud("{}");
  TestDevice device(cloud);
  REQUIRE(device.is_established());
  device.stop();
  int files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(device.folder.path() / "state")) {
    std::ifstream in(entry.path());
    const std::string content{std::istreambuf_iterator<char>(in), {}};
    INFO(entry.path());
    CHECK(content.find("SECRETtok") == std::string::npos);
    CHECK((entry.status().permissions() & std::filesystem::perms(077)) == std::filesystem::perms::none);
    ++files;
  }
  CHECK(files >= 1);
}

TEST_CASE("a broken device key stops the connection before it begins, and names the file") {
  TestCloud cloud("{}");
  const TestFolder folder;
  std::ofstream(folder.path() / "device.key") << "x";
  std::filesystem::permissions(folder.path() / "device.key", std::filesystem::perms(0600));
  TestObserver observer;
  config::Settings settings;
  settings.servers.push_back({"localhost", true, {}});
  const auto made = MainConnection::make(settings, {folder.path(), "b", "0"}, observer);
  REQUIRE_FALSE(made);
  CHECK(made.error().message.find((folder.path() / "device.key").string()) != std::string::npos);
}
