// A list of servers over real TLS: failover, what is remembered, what a lease does.
#include <algorithm>
#include <fstream>

#include "core/connection/test_device.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::connection;
using namespace std::chrono_literals;

namespace {

// Two clouds, known to one device as localhost at two ports. `first` has the higher port, and so is tried first.
struct TwoClouds {
  explicit TwoClouds(const std::string& plan = R"({"tcp":true})") : one(plan), other(plan) {}
  TestCloud& first() { return one.port() > other.port() ? one : other; }
  TestCloud& second() { return one.port() > other.port() ? other : one; }
  config::Settings settings() {
    auto settings = test_settings(one);
    settings.servers = {{"localhost", true, {first().port(), second().port()}}};
    settings.ca_file = (folder.path() / "both.pem").string();
    std::ofstream(settings.ca_file) << std::ifstream(one.ca_file()).rdbuf() << std::ifstream(other.ca_file()).rdbuf();
    return settings;
  }

  TestFolder folder;
  TestCloud one, other;
};

const Event* find_event(const TestObserver::Told& told, const std::string& kind) {
  const auto found =
      std::find_if(told.events.begin(), told.events.end(), [&](const Event& event) { return event.kind == kind; });
  return found == told.events.end() ? nullptr : &*found;
}

}  // namespace

TEST_CASE("[conn-10] when the connected server dies the next one is tried, and the device does not go back by itself") {
  TwoClouds clouds;
  TestDevice device(clouds.settings());
  REQUIRE(device.is_at(clouds.first().port()));
  CHECK(device.observer.told().moves == 0);
  auto servers = device.observer.told().snapshot.servers;
  REQUIRE(servers.size() == 2);
  CHECK(servers[0].current);
  CHECK_FALSE(servers[1].current);
  clouds.first().die();
  REQUIRE(device.is_at(clouds.second().port()));
  const auto told = device.observer.told();
  CHECK(told.moves == 1);
  const Event* failover = find_event(told, "failover");
  REQUIRE(failover != nullptr);
  CHECK((failover->reason == "connect_refused" || failover->reason == "tls_failed"));  // dying, it may accept once more
  CHECK(failover->detail == "from localhost:" + std::to_string(clouds.first().port()) +
                                " to localhost:" + std::to_string(clouds.second().port()));
  servers = told.snapshot.servers;
  CHECK(servers[0].failure->code == failover->reason);
  CHECK(servers[1].current);
  CHECK_FALSE(servers[1].failure);
}

TEST_CASE("[perf-4] after a reset of a dead server the next one's TLS begins within 100 ms") {
  TwoClouds clouds;
  TestDevice device(clouds.settings());
  REQUIRE(device.is_at(clouds.first().port()));
  const auto began = Clock::now();
  clouds.first().die();  // its kernel resets what is open and refuses what comes
  REQUIRE(json::text_or(clouds.second().wait_for("tcp"), "seen") == "tcp");
  const auto took = Clock::now() - began;
  CHECK(took < 100ms);
  CHECK(device.is_at(clouds.second().port()));
}

TEST_CASE("a reset connection to a living server is renewed there, not at the next one") {
  TwoClouds clouds;
  TestDevice device(clouds.settings());
  REQUIRE(device.is_at(clouds.first().port()));
  clouds.first().wait_for("message", "subconnection_request");
  clouds.first().tell(R"({"rst":true})");
  CHECK(json::text_or(clouds.first().wait_for("open"), "seen") == "open");
  const auto told = device.observer.told();
  CHECK(told.moves == 0);
  CHECK(find_event(told, "failover") == nullptr);
}

TEST_CASE("[conn-9] refused, redirected and overloaded servers are passed over at once, each with its own reason") {
  const std::string answer = GENERATE(R"({"status":403,"body":{"error":{"code":"unknown_serial","message":"m"}}})",
                                      R"({"status":503,"headers":{"Retry-After":"600"}})",
                                      R"({"status":302,"headers":{"Location":"https://e.test/"}})");
  INFO(answer);
  TwoClouds clouds("{}");
  clouds.first().tell(R"({"plan":{"auth":[)" + answer + "]}}");
  clouds.first().tell(R"({"echo":true})");
  clouds.first().wait_for("echo");
  TestDevice device(clouds.settings());
  REQUIRE(device.is_at(clouds.second().port()));
  const auto servers = device.observer.told().snapshot.servers;
  REQUIRE(servers[0].failure);
  const bool asked = answer.find("302") == answer.npos;
  CHECK(servers[0].not_before.has_value() == asked);
  CHECK(device.observer.told().moves == 0);  // nothing was connected before
}

TEST_CASE("[conn-10] after a restart the device starts with the server that was connected last") {
  TwoClouds clouds;
  TestDevice device(clouds.settings());
  REQUIRE(device.is_at(clouds.first().port()));
  clouds.first().die();
  REQUIRE(device.is_at(clouds.second().port()));
  SECTION("as set") {
    device.restart();
    REQUIRE(device.is_at(clouds.second().port()));
    CHECK_FALSE(device.observer.told().snapshot.servers[0].failure);  // it was not asked
  }
  SECTION("not where the operator wants the head of the list") {
    device.settings.remember_server = false;
    device.restart();
    REQUIRE(device.is_at(clouds.second().port()));
    CHECK(device.observer.told().snapshot.servers[0].failure);
  }
  SECTION("not where it is no longer in the list") {
    std::ofstream(device.folder.path() / "state" / "last_server") << "other.test:1";
    device.restart();
    CHECK(device.is_at(clouds.second().port()));
  }
}

TEST_CASE("[conn-10] an operator's reset comes back to the same server, and with --first to the head of the list") {
  TwoClouds clouds("{}");
  clouds.first().tell(R"({"plan":{"auth":[{"status":302}]}})");
  clouds.first().tell(R"({"echo":true})");
  clouds.first().wait_for("echo");
  TestDevice device(clouds.settings());
  REQUIRE(device.is_at(clouds.second().port()));
  device.connection->reset(false);
  REQUIRE(device.is_down("reset_by_operator"));
  REQUIRE(device.is_at(clouds.second().port()));
  device.connection->reset(true);
  REQUIRE(device.is_at(clouds.first().port()));
  CHECK(device.observer.told().moves == 1);
  CHECK(find_event(device.observer.told(), "failover") == nullptr);
}

TEST_CASE("[conn-11] a lease that names another server tears the connection down, and falls back when withdrawn") {
  TestCloud cloud("{}"), leased("{}");
  const TestFolder folder;
  auto settings = test_settings(leased);  // the leased name is asked at the authentication port
  settings.servers = {{"localhost", true, {cloud.port()}}};
  settings.ca_file = (folder.path() / "both.pem").string();
  std::ofstream(settings.ca_file) << std::ifstream(cloud.ca_file()).rdbuf() << std::ifstream(leased.ca_file()).rdbuf();
  const DhcpOffer offer{"eth0", "127.0.0.1", std::nullopt};
  TestDevice device(settings);
  REQUIRE(device.is_at(cloud.port()));
  device.connection->set_dhcp(offer);
  REQUIRE(device.is_at(leased.port()));
  auto told = device.observer.told();
  CHECK(told.snapshot.last_down->code == "server_changed_by_dhcp");
  CHECK(told.snapshot.server_domain == "127.0.0.1");
  CHECK(told.snapshot.servers[0].target.source == Target::Source::Dhcp);
  CHECK(told.moves == 1);
  SECTION("a renewal changes nothing, and another interface's lease with the same name neither") {
    device.connection->set_dhcp(offer);
    device.connection->set_dhcp(DhcpOffer{"eth1", "127.0.0.1", std::nullopt});
    leased.wait_for("message", "subconnection_request");
    device.connection->reach_cloud(1);
    CHECK(device.observer.wait([](const auto& t) { return t.reached.size() == 1; }));
    CHECK(leased.story().find(R"("seen": "close")") == std::string::npos);
  }
  SECTION("withdrawn") {
    device.connection->set_dhcp(std::nullopt);
    REQUIRE(device.is_at(cloud.port()));
    CHECK(device.observer.told().moves == 2);
  }
  SECTION("another password with the same name authenticates anew") {
    device.connection->set_dhcp(DhcpOffer{"eth0", "127.0.0.1", "secret"});
    REQUIRE(device.is_down("password_changed_by_dhcp"));
    CHECK(device.fails_with("proof_invalid"));  // this cloud's password is none
  }
}

TEST_CASE("[conn-11] a device without any server waits for a lease, and says so") {
  TestCloud cloud("{}");
  auto settings = test_settings(cloud);
  settings.servers.clear();
  TestDevice device(settings);
  REQUIRE(device.fails_with("no_server"));
  CHECK(device.observer.told().snapshot.cloud_connection_state == "Unconnected");
  CHECK_FALSE(device.observer.told().snapshot.next_attempt_at);
  device.connection->reset(true);
  device.connection->network_changed(NetworkChange::Route);
  device.connection->set_dhcp(DhcpOffer{"eth0", "localhost", std::nullopt});
  REQUIRE(device.is_established());
  CHECK_FALSE(device.observer.told().snapshot.failure);
  device.connection->set_dhcp(std::nullopt);
  REQUIRE(device.is_down("server_changed_by_dhcp"));
  CHECK(device.fails_with("no_server"));
  CHECK(device.stop() < 1s);
}

TEST_CASE("[conn-11] a lease that was there before the start is tried first") {
  TestCloud cloud("{}");
  auto settings = test_settings(cloud);
  settings.servers = {{"localhost", true, {1}}};
  TestDevice device(settings, DhcpOffer{"eth0", "LOCALHOST", std::nullopt});
  REQUIRE(device.is_at(cloud.port()));
  CHECK_FALSE(device.observer.told().snapshot.servers[1].failure);
}

TEST_CASE("neither servers nor DHCP is a fault of the configuration") {
  const TestFolder folder;
  TestObserver observer;
  config::Settings settings;
  settings.dhcp.enabled = false;
  const auto made = MainConnection::make(settings, {folder.path(), "b", "0"}, observer);
  REQUIRE_FALSE(made);
  CHECK(made.error().message.find("cloud.server") != std::string::npos);
}
