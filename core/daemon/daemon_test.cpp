#include <sys/socket.h>
#include <sys/un.h>

#include <csignal>
#include <cstdlib>
#include <thread>

#include "core/daemon/commands.hpp"
#include "core/daemon/inbox.hpp"
#include "core/daemon/instance_lock.hpp"
#include "core/daemon/options.hpp"
#include "core/daemon/process_usage.hpp"
#include "core/daemon/service_manager.hpp"
#include "core/daemon/signals.hpp"
#include "core/daemon/state_report.hpp"
#include "core/supervisor/testing/rig.hpp"

using namespace hawser;
using namespace hawser::daemon;
using supervisor::testing::Rig;

namespace {

struct FakeConnection : connection::MainConnection {
  void start(std::vector<connection::Offer>) override {}
  void stop() override {}
  void set_offers(std::vector<connection::Offer>) override {}
  void request_grants() override {}
  void reset() override { ++resets; }
  void reach_cloud(std::uint64_t) override {}
  void report(connection::Event) override {}
  void command_result(std::string id, Result<json::Object> result) override {
    results.emplace_back(std::move(id), std::move(result));
  }
  int resets = 0;
  std::vector<std::pair<std::string, Result<json::Object>>> results;
};

struct House {
  House() : plugins(prepared(rig)), commands(rig.settings, plugins, connection) {}

  static supervisor::Supervisor& prepared(Rig& rig) {
    rig.add("shop", R"({"interval":5,"api_token":"SECRETtok123","deep":[{"password":"SECRETtok123"}]})");
    rig.add("broken", "{}");
    std::filesystem::remove(rig.folder.path() / "plugins/acme.broken/1.0.0/manifest.json");
    rig.settings.site = "branch-042";
    rig.settings.servers = {{"b.example", false, {443, 8443}}, {"A.example", true, {}}};
    return rig.make();
  }

  Result<json::Object> ask(const std::string& command, const std::string& args = "{}") {
    std::optional<Result<json::Object>> answer;
    commands.answer({command, json::parse_object(args).value(), 0, 1}, [&](Result<json::Object> got) { answer = got; });
    REQUIRE(answer);
    return *answer;
  }

  Rig rig;
  FakeConnection connection;
  supervisor::Supervisor& plugins;
  Commands commands;
};

std::vector<std::string> names_of(const json::Object& object) {
  std::vector<std::string> names;
  for (const auto& name : object->getNames()) names.push_back(name);
  return names;
}

}  // namespace

TEST_CASE("[state-1] state has a member for each of the guide's 20 lines, null where nothing is known") {
  House house;
  const auto state = house.ask("state");
  REQUIRE(state);
  for (const char* key : {"cloud_connection_state",
                          "device_state",
                          "cloud_server_address",
                          "cloud_server_domain_name",
                          "cloud_connection_mode",
                          "cloud_server_authentication_port",
                          "cloud_server_connection_port",
                          "connected_at",
                          "duration_s",
                          "process_state",
                          "failure_reason",
                          "last_down_reason",
                          "last_down_at",
                          "last_report_failure_reason",
                          "last_report_failure_at",
                          "dropped_packets_after_reaching_buffer_limit",
                          "total_dropped_packets",
                          "last_report_incomplete_reason",
                          "last_report_incomplete_at",
                          "buffer_full_count",
                          "servers",
                          "next_attempt_in_s",
                          "backoff_s",
                          "serial",
                          "site",
                          "subconnections"}) {
    INFO(key);
    CHECK((*state)->has(key));
  }
  CHECK(json::text_or(*state, "cloud_connection_state") == "Unconnected");
  CHECK((*state)->isNull("connected_at"));
  CHECK(json::text_or(*state, "serial") == "TEST1");
  CHECK(json::to_text(json::array_member(*state, "servers").value()) ==
        R"([{"domain":"A.example","port":19443,"role":"primary","source":"config"},)"
        R"({"domain":"b.example","port":8443,"role":"backup","source":"config"},)"
        R"({"domain":"b.example","port":443,"role":"backup","source":"config"}])");
  const auto rows = json::array_member(*state, "subconnections").value();
  REQUIRE(rows->size() == 1);
  const auto row = *json::object_at(rows, 0);
  for (const char* key :
       {"service",    "plugin",        "state",      "since",           "url",          "failure_reason",
        "reconnects", "sent_messages", "sent_bytes", "queued_messages", "queued_bytes", "spooled_bytes",
        "dropped",    "acked_seq",     "rtt_ms",     "host_pid",        "isolation",    "cpu_ms",
        "pss_kib",    "restarts",      "quarantine"}) {
    INFO(key);
    CHECK(row->has(key));
  }
}

TEST_CASE("[state-1] the connection's lines come from its last snapshot") {
  House house;
  connection::Snapshot snapshot;
  snapshot.cloud_connection_state = "Established";
  snapshot.server_domain = "cloud.test";
  snapshot.connection_port = 443;
  snapshot.connected_at = std::chrono::system_clock::time_point(std::chrono::milliseconds(1'453'904'320'120));
  snapshot.connected_since = Clock::now() - std::chrono::seconds(121);
  snapshot.last_down = Error{"hang_up", "no byte for 75 s"};
  snapshot.reports_dropped = 7;
  snapshot.report_queue_full_count = 1;
  house.commands.on_snapshot(snapshot);
  const auto state = house.ask("state").value();
  CHECK(json::text_or(state, "cloud_server_domain_name") == "cloud.test");
  CHECK(json::integer_or(state, "cloud_server_connection_port", 0) == 443);
  CHECK(json::text_or(state, "connected_at") == "2016-01-27T14:18:40.120Z");
  CHECK(json::integer_or(state, "duration_s", 0) == 121);
  CHECK(json::text_or(state, "last_down_reason") == "hang_up");
  CHECK(json::text_or(state, "last_down_detail") == "no byte for 75 s");
  CHECK(json::integer_or(state, "dropped_packets_after_reaching_buffer_limit", 0) == 7);
  CHECK(json::integer_or(state, "total_dropped_packets", 0) == 7);
  CHECK(json::integer_or(state, "buffer_full_count", 0) == 1);
}

TEST_CASE("the list of plugins shows a refused one with its sentence beside the others") {
  House house;
  house.rig.supervisor->start();
  REQUIRE(house.rig.until_state("shop", supervisor::PluginState::Ready));
  const auto plugins = json::array_member(house.ask("plugin_list").value(), "plugins").value();
  REQUIRE(plugins->size() == 2);
  const auto broken = *json::object_at(plugins, 0), shop = *json::object_at(plugins, 1);
  CHECK(names_of(shop) ==
        std::vector<std::string>{"id", "version", "state", "reason", "detail", "pid", "restarts", "services"});
  CHECK(json::text_or(broken, "state") == "refused");
  CHECK(json::text_or(broken, "detail").rfind("the manifest is missing: ", 0) == 0);
  CHECK(broken->isNull("pid"));
  CHECK(json::text_or(shop, "state") == "ready");
  CHECK(json::text_or(house.ask("plugin_show", R"({"plugin":"acme.shop"})").value(), "digest").rfind("sha256:", 0) ==
        0);
  const auto rows = json::array_member(house.ask("state").value(), "subconnections").value();
  const auto row = *json::object_at(rows, 0);
  CHECK(json::integer_or(row, "host_pid", 0) == house.rig.plugin("shop").pid().value());
  CHECK(json::integer_or(row, "pss_kib", 0) > 0);
}

TEST_CASE("commands do what they say, and what is no command or no plugin is refused with what is") {
  House house;
  REQUIRE(house.ask("reset"));
  CHECK(house.connection.resets == 1);
  CHECK(json::text_or(house.ask("version").value(), "version") == HAWSER_VERSION);
  CHECK(house.ask("log_level", R"({"level":"loud"})").error().code == "bad_request");
  CHECK(house.ask("log_level", R"({"level":"info"})"));
  CHECK(house.ask("plugin_restart", "{}").error().code == "bad_request");
  CHECK(house.ask("plugin_restart", R"({"plugin":"acme.none"})").error().code == "not_found");
  CHECK(house.ask("plugin_show", R"({"plugin":"acme.none"})").error().code == "not_found");
  CHECK(house.ask("dance").error().code == "unknown_command");
}

TEST_CASE("config show has no secret in it") {
  House house;
  const std::string text = json::to_text(house.ask("config_show").value());
  INFO(text);
  CHECK(text.find("SECRETtok123") == std::string::npos);
  CHECK(text.find(R"("interval":5)") != std::string::npos);
  CHECK(text.find(R"x("api_token":"(removed)")x") != std::string::npos);
}

TEST_CASE("the cloud may ask for the state and restart a plugin, and nothing else") {
  House house;
  house.commands.on_command("1", "state", nullptr);
  house.commands.on_command("2", "config_show", json::make_object());
  house.commands.on_command("3", "plugin_restart", json::parse_object(R"({"plugin":"acme.shop"})").value());
  REQUIRE(house.connection.results.size() == 3);
  CHECK(json::text_or(house.connection.results[0].second.value(), "serial") == "TEST1");
  CHECK(house.connection.results[1].second.error().code == "unknown_command");
  CHECK(house.connection.results[2].second);
  CHECK(house.connection.results[2].first == "3");
}

namespace {

struct Reader : connection::Observer {
  void on_snapshot(connection::Snapshot snapshot) override { seen.push_back("snapshot " + snapshot.device_state); }
  void on_grants(std::vector<json::Object> grants, std::vector<connection::Refusal>) override {
    seen.push_back("grants " + std::to_string(grants.size()));
  }
  void on_revoked(std::string service, std::string) override { seen.push_back("revoked " + service); }
  void on_server_changed() override { seen.push_back("server changed"); }
  void on_command(std::string id, std::string, json::Object) override { seen.push_back("command " + id); }
  void on_event(connection::Event) override { seen.push_back("event"); }
  void on_reached(std::uint64_t id, std::string) override { seen.push_back("reached " + std::to_string(id)); }
  void on_validity_floor(std::chrono::system_clock::time_point) override { seen.push_back("floor"); }
  std::vector<std::string> seen;
};

}  // namespace

TEST_CASE("what the connection's thread tells arrives in order, and only what is outdated is left out") {
  Loop loop;
  Inbox inbox(loop);
  Reader reader;
  std::thread connection_thread([&inbox] {
    connection::Snapshot snapshot;
    for (int i = 0; i < 10'000; ++i) {
      snapshot.device_state = std::to_string(i);
      inbox.on_snapshot(snapshot);
      inbox.on_revoked("a", "x");
      inbox.on_grants({json::make_object(), json::make_object()}, {});
      inbox.on_revoked("b", "x");
      inbox.on_revoked("b", "x");
      inbox.on_reached(7, "x");
    }
    for (std::size_t i = 0; i < 3 * Inbox::kInboxMax; ++i) inbox.on_command(std::to_string(i), "state", nullptr);
    inbox.on_grants({json::make_object()}, {});
    inbox.on_revoked("c", "x");
  });
  connection_thread.join();
  inbox.deliver_to(reader);
  loop.turn(Clock::now() + std::chrono::seconds(5));
  REQUIRE(reader.seen.size() > 5);
  CHECK(reader.seen.size() <= Inbox::kInboxMax + 8);
  CHECK(reader.seen[0] == "snapshot 9999");
  CHECK(reader.seen[1] == "reached 7");
  CHECK(reader.seen[2] == "command 0");
  CHECK(reader.seen[reader.seen.size() - 2] == "grants 1");
  CHECK(reader.seen.back() == "revoked c");
  reader.seen.clear();
  inbox.on_grants({}, {});
  inbox.on_server_changed();
  loop.turn(Clock::now() + std::chrono::seconds(5));
  CHECK(reader.seen == std::vector<std::string>{"server changed"});
}

TEST_CASE("a second agent on the same state is told which process holds it") {
  TestFolder folder;
  {
    const auto first = InstanceLock::take(folder.path());
    REQUIRE(first);
    const auto second = InstanceLock::take(folder.path());
    REQUIRE_FALSE(second);
    CHECK(second.error().code == "busy");
    CHECK(second.error().message.find("process " + std::to_string(::getpid())) != std::string::npos);
  }
  CHECK(InstanceLock::take(folder.path()));
  CHECK(InstanceLock::take(folder.path() / "none").error().code == "io_error");
}

TEST_CASE("the service manager is told by one datagram") {
  TestFolder folder;
  const std::string path = (folder.path() / "notify").string();
  const Descriptor socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  ::setenv("NOTIFY_SOCKET", path.c_str(), 1);
  tell_service_manager("READY=1");
  ::unsetenv("NOTIFY_SOCKET");
  tell_service_manager("nobody hears it");
  char text[64] = {};
  REQUIRE(::recv(socket.get(), text, sizeof text, MSG_DONTWAIT) == 7);
  CHECK(std::string(text) == "READY=1");
}

TEST_CASE("signals arrive as events of the loop") {
  block_signals();
  Loop loop;
  std::vector<int> seen;
  const Signals signals(loop, [&](int number) { seen.push_back(number); });
  ::kill(::getpid(), SIGTERM);
  loop.turn(Clock::now() + std::chrono::seconds(5));
  CHECK(seen == std::vector<int>{SIGTERM});
}

TEST_CASE("options have the places of the design as defaults, and wrong usage ends with 64") {
  const char* none[] = {"hawserd"};
  const auto defaults = parse_options(1, none);
  CHECK_FALSE(defaults.exit);
  CHECK(defaults.options.config_dir == "/etc/hawser");
  CHECK(defaults.options.state_dir == "/var/lib/hawser");
  CHECK(defaults.options.runtime_dir == "/run/hawser");
  CHECK(defaults.options.plugin_dir == "/usr/lib/hawser/plugins");
  const char* some[] = {"hawserd", "--check", "--config", "/tmp/x", "--host-program=/tmp/h"};
  const auto given = parse_options(5, some);
  CHECK(given.options.check);
  CHECK(given.options.config_dir == "/tmp/x");
  CHECK(given.options.host_program == "/tmp/h");
  const char* wrong[] = {"hawserd", "--bogus"};
  CHECK(parse_options(2, wrong).exit == kExitUsage);
  const char* extra[] = {"hawserd", "start"};
  CHECK(parse_options(2, extra).exit == kExitUsage);
  const char* help[] = {"hawserd", "--help"};
  CHECK(parse_options(2, help).exit == kExitOk);
}

TEST_CASE("a process's use of time and memory is read, and one that is gone has none") {
  const auto own = usage_of(::getpid());
  CHECK(own.cpu_ms);
  REQUIRE(own.pss_kib);
  CHECK(*own.pss_kib > 100);
  const auto none = usage_of(999'999'999);
  CHECK_FALSE(none.cpu_ms);
  CHECK_FALSE(none.pss_kib);
}
