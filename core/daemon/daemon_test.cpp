#include <sys/socket.h>
#include <sys/un.h>

#include <csignal>
#include <cstdlib>
#include <thread>

#include "core/daemon/inbox.hpp"
#include "core/daemon/instance_lock.hpp"
#include "core/daemon/options.hpp"
#include "core/daemon/process_usage.hpp"
#include "core/daemon/service_manager.hpp"
#include "core/daemon/signals.hpp"
#include "tests/catch.hpp"
#include "tests/test_folder.hpp"

using namespace hawser;
using namespace hawser::daemon;

namespace {

struct Reader : connection::Observer {
  void on_snapshot(connection::Snapshot snapshot) override { seen.push_back("snapshot " + snapshot.device_state); }
  void on_grants(std::vector<json::Object> grants, std::vector<connection::Refusal>) override {
    seen.push_back("grants " + std::to_string(grants.size()));
  }
  void on_revoked(std::string service, std::string) override { seen.push_back("revoked " + service); }
  void on_server_changed() override { seen.push_back("server changed"); }
  void on_command(std::string id, std::string, json::Object) override { seen.push_back("command " + id); }
  void on_site_profile(std::string id, config::SiteProfile) override { seen.push_back("profile " + id); }
  void on_unbind_result(std::uint64_t, Status) override { seen.push_back("unbound"); }
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
  CHECK(defaults.options.plugin_dir == HAWSER_PLUGIN_DIR);
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
