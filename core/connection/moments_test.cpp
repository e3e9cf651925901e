// What must hold in every moment of a main connection, also where two things come at once; over real TLS.
#include <algorithm>
#include <filesystem>

#include "core/connection/test_device.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::connection;
using namespace std::chrono_literals;

namespace {

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator all("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

std::size_t count_of(const std::string& story, const std::string& what) {
  std::size_t count = 0;
  for (auto at = story.find(what); at != std::string::npos; at = story.find(what, at + 1)) ++count;
  return count;
}

// Whether the present server is to be left alone for about ten minutes.
bool keeps_away(TestDevice& device) {
  return device.observer.wait(
      [](const auto& t) {
        if (t.snapshot.servers.empty() || !t.snapshot.servers[0].not_before || !t.snapshot.next_attempt_at)
          return false;
        return *t.snapshot.servers[0].not_before > Clock::now() + 590s;
      },
      5s);
}

}  // namespace

TEST_CASE("[state-1] no snapshot contradicts itself: up, refused, lost, changed, reset, replaced, stopped") {
  TestCloud cloud(R"({"auth":[{"status":503}],"connect":[{"status":404}],"spread":0})");
  TestDevice device(cloud);
  REQUIRE(device.is_established());
  const auto again = [&](const auto& how) {
    cloud.wait_for("message", "subconnection_request");
    how();
    cloud.wait_for("open");
    return device.is_established();
  };
  CHECK(again([&] { cloud.tell(R"({"abort":true})"); }));
  CHECK(again([&] { device.configure([](config::Settings& s) { s.site = "elsewhere"; }); }));
  CHECK(again([&] { device.connection->reset(false); }));
  CHECK(again([&] { device.connection->network_changed(NetworkChange::Resumed); }));
  cloud.tell(R"({"close":4009,"reason":"replaced"})");
  CHECK(device.is_down("replaced"));
  device.stop();
  const auto told = device.observer.told();
  for (const auto& lie : told.lies) UNSCOPED_INFO(lie);
  CHECK(told.lies.empty());
}

TEST_CASE("[conn-19][conn-20] a drain is honoured, for an hour at most, whatever ends the connection") {
  const std::string away = GENERATE("600", "4000000");
  TestCloud cloud(R"({"spread":0})");
  TestDevice device(cloud);
  REQUIRE(device.is_established());
  cloud.wait_for("message", "subconnection_request");
  cloud.tell(R"({"send":{"type":"drain","retry_after_s":)" + away + R"(,"spread_s":3600}})");
  device.connection->reach_cloud(1);
  REQUIRE(device.observer.wait([](const auto& t) { return !t.reached.empty(); }));  // it has read the drain
  SECTION("another interval") {
    device.configure([](config::Settings& s) { s.keepalive_interval = 20s; });
  }
  SECTION("a sleep") { device.connection->network_changed(NetworkChange::Resumed); }
  SECTION("a command to connect anew") {
    cloud.tell(R"({"send":{"type":"command","id":"c1","name":"reconnect","args":{}}})");
  }
  SECTION("a connection that breaks") { cloud.tell(R"({"abort":true})"); }
  CHECK(keeps_away(device));
  device.connection->reset(false);  // which ends every wait
  CHECK(device.is_established());
}

TEST_CASE("[conn-25] a change that does not concern the attempt under way lets it go on") {
  TestCloud cloud(R"({"auth":[{},{"delay_ms":700}]})");
  TestDevice device(cloud);
  cloud.wait_for("auth");
  cloud.wait_for("auth");
  for (int i = 0; i < 50; ++i)
    device.configure([&](config::Settings& s) { s.log_level = i % 2 == 0 ? "debug" : "info"; });
  CHECK(device.is_established());
  cloud.wait_for("open");
  CHECK(count_of(cloud.story(), R"("seen": "auth")") == 2);
}

TEST_CASE("a storm of changes, leases and resets leaves one connection, and every descriptor closed") {
  TestCloud cloud(R"({"spread":0})");
  TestDevice device(cloud);
  REQUIRE(device.is_established());
  const auto before = open_descriptors();
  for (int i = 0; i < 300; ++i) {
    device.connection->set_dhcp(i % 2 == 0 ? std::optional(DhcpOffer{"eth0", "127.0.0.1", std::nullopt})
                                           : std::nullopt);
    if (i % 7 == 0) device.connection->reset(i % 14 == 0);
    if (i % 11 == 0) device.connection->network_changed(NetworkChange::Resumed);
    device.connection->network_changed(NetworkChange::Route);
    device.configure([&](config::Settings& s) { s.site = "site-" + std::to_string(i % 3); });
    if (i % 50 == 0) CHECK(device.is_established());
  }
  device.connection->set_dhcp(std::nullopt);
  device.connection->reset(true);
  CHECK(device.observer.wait([](const auto& t) {
    return t.snapshot.cloud_connection_state == "Established" && t.snapshot.server_domain == "localhost";
  }));
  device.connection->reach_cloud(77);
  CHECK(device.observer.wait([](const auto& t) {
    return std::find(t.reached.begin(), t.reached.end(), "77 keepalive_ack") != t.reached.end();
  }));
  CHECK(open_descriptors() <= before + 2);
  CHECK(device.observer.told().lies.empty());
}

TEST_CASE("[state-1] a device that has no server left names none") {
  TestCloud cloud("{}");
  config::Settings settings = test_settings(cloud);
  settings.servers.clear();
  TestDevice device(settings, DhcpOffer{"eth0", "localhost", std::nullopt});
  REQUIRE(device.is_established());
  device.connection->set_dhcp(std::nullopt);
  REQUIRE(device.fails_with("no_server"));
  const auto now = device.observer.told().snapshot;
  CHECK(now.servers.empty());
  CHECK(now.server_domain == "");
  CHECK(now.server_address == "");
  CHECK(now.authentication_port == 0);
  CHECK(now.connection_port == 0);
  device.connection->set_dhcp(DhcpOffer{"eth0", "localhost", std::nullopt});
  CHECK(device.is_established());
}

TEST_CASE("[conn-16] a code that is asked for while the device is not connected, or as it leaves, is answered") {
  TestCloud cloud(R"({"unbind":{"ok":true},"auth":[{"status":503,"headers":{"Retry-After":"600"}}]})");
  TestDevice device(cloud);
  REQUIRE(device.fails_with("unavailable"));
  REQUIRE(device.waits());
  device.connection->unbind(1, "ABCD2345");
  CHECK(
      device.observer.wait([](const auto& t) { return t.unbindings == std::vector<std::string>{"1 not_connected"}; }));
  device.connection->reset(false);
  REQUIRE(device.is_established());
  device.connection->reset(false);
  device.connection->unbind(2, "ABCD2345");  // as it leaves: not connected, or let go; but never silence
  CHECK(device.observer.wait([](const auto& t) { return t.unbindings.size() == 2; }));
}
