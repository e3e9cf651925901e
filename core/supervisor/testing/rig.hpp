#pragma once

#include <unistd.h>

#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"
#include "core/supervisor/supervisor.hpp"
#include "tests/catch.hpp"
#include "tests/test_folder.hpp"

// What the supervisor's tests share: plugins in a folder of their own, a cloud that writes down what it is asked, and a
// loop that is turned until something holds.
namespace hawser::supervisor::testing {

inline void put_file(const std::filesystem::path& path, const std::string& content) {
  std::filesystem::create_directories(path.parent_path());
  REQUIRE(write_file_atomically(path, content));
}

inline std::string manifest_text(const std::string& id, const std::string& version, const std::string& service) {
  return R"({"id":")" + id + R"(","version":")" + version +
         R"(","abi":{"major":1,"minor":0},"services":[{"service":")" + service + R"(","protocols":["acme.)" + service +
         R"(.v1"]}],"permissions":["action:*"]})";
}

inline void install(const std::filesystem::path& plugin_dir, const std::string& id, const std::string& version,
                    const std::string& service) {
  put_file(plugin_dir / id / version / "plugin.so", "a library of " + id);
  put_file(plugin_dir / id / version / "manifest.json", manifest_text(id, version, service));
}

struct FakeCloud : Cloud {
  void set_offers(std::vector<connection::Offer> now) override { offers = std::move(now); }
  void request_grants() override { ++grant_requests; }
  void reach_cloud(std::uint64_t id) override { reaches.push_back(id); }
  void report(connection::Event event) override { events.push_back(std::move(event)); }

  // The detail of the first event that has this reason and was not taken yet.
  std::optional<std::string> take(const std::string& reason) {
    for (auto at = events.begin(); at != events.end(); ++at) {
      if (at->kind != "config" || at->reason != reason) continue;
      const std::string detail = at->detail;
      events.erase(at);
      return detail;
    }
    return std::nullopt;
  }

  std::vector<connection::Offer> offers;
  int grant_requests = 0;
  std::vector<std::uint64_t> reaches;
  std::deque<connection::Event> events;
};

inline Timing quick() {
  Timing timing;
  timing.start_limit = 3s;
  timing.stop_limit = 300ms;
  timing.end_limit = 300ms;
  timing.restart_wait = 20ms;
  timing.restart_wait_min = 5ms;
  timing.restart_wait_max = 100ms;
  return timing;
}

class Rig {
 public:
  Rig() { settings.development_mode = true; }  // what install() makes is signed by nobody

  // Installs acme.<service> with this configuration and enables it. Before make().
  void add(const std::string& service, const std::string& config) {
    const std::string id = "acme." + service;
    install(folder.path() / "plugins", id, "1.0.0", service);
    settings.enabled.push_back(id);
    settings.plugins[id].id = id;
    settings.plugins[id].config = json::parse_object(config).value();
  }

  Supervisor& make(Timing timing = quick(), const std::string& program = HAWSER_SCRIPTED_HOST) {
    settings.serial = "TEST1";
    supervisor = std::make_unique<Supervisor>(
        loop, settings, Paths{folder.path() / "plugins", folder.path() / "state", program, folder.path() / "trust.d"},
        cloud, timing);
    return *supervisor;
  }

  bool until(const std::function<bool()>& holds, milliseconds limit = 10s) {
    const TimePoint end = Clock::now() + limit;
    while (!holds()) {
      if (Clock::now() >= end) return false;
      loop.turn(std::min(end, Clock::now() + 50ms));
    }
    return true;
  }

  // What restart() and release() answer, once they have looked at the disk.
  Status restarted(const std::string& id) {
    return answered([&](const Supervisor::Answered& done) { supervisor->restart(id, done); });
  }
  Status released(const std::string& id) {
    return answered([&](const Supervisor::Answered& done) { supervisor->release(id, done); });
  }
  Status answered(const std::function<void(const Supervisor::Answered&)>& ask) {
    std::optional<Status> answer;
    ask([&answer](const Status& status) { answer = status; });
    REQUIRE(until([&] { return answer.has_value(); }));
    return *answer;
  }

  const SupervisedPlugin& plugin(const std::string& service) const { return *supervisor->find("acme." + service); }
  bool until_state(const std::string& service, PluginState state) {
    return until([&] { return plugin(service).state() == state; });
  }
  // What the host echoes of a message of this type.
  std::string echo(const std::string& type) {
    std::optional<std::string> detail;
    until([&] { return (detail = cloud.take(type)).has_value(); });
    return detail.value_or("no echo of " + type);
  }

  TestFolder folder;
  Loop loop;
  config::Settings settings;
  FakeCloud cloud;
  std::unique_ptr<Supervisor> supervisor;
};

// Whether a process runs; one that waits for its parent's interest does not.
inline bool is_running(pid_t pid) {
  const auto text = read_file("/proc/" + std::to_string(pid) + "/stat", 4096);
  if (!text) return false;
  const char state = text->at(text->rfind(')') + 2);
  return state != 'Z' && state != 'X';
}

}  // namespace hawser::supervisor::testing
