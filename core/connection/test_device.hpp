#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <vector>

#include "core/connection/main_connection.hpp"
#include "core/connection/test_cloud.hpp"

namespace hawser::connection {

// What the cloud saw down to the next open connection: "auth register connect open".
inline std::string steps_until_open(TestCloud& cloud) {
  std::string steps;
  for (;;) {
    const auto seen = json::text_or(cloud.next(), "seen");
    if (seen.empty() || seen == "open") return steps + seen;
    if (seen == "auth" || seen == "register" || seen == "connect") steps += seen + " ";
  }
}

// Notes all that a connection tells, and lets a test wait for it.
class TestObserver : public Observer {
 public:
  struct Told {
    Snapshot snapshot;
    std::vector<std::string> states;  // device states in their order, without repetitions
    std::vector<std::string> processes;
    std::vector<json::Object> grants;
    std::vector<Refusal> refused;
    int lists = 0;  // how often grants came
    std::vector<std::string> revoked, reached, commands, profiles;
    std::vector<Event> events;
    std::vector<std::string> unbindings;  // "7 ok", "8 code_wrong"
    int floors = 0;
    int moves = 0;                  // on_server_changed()
    std::vector<std::string> lies;  // snapshots that contradict themselves
  };

  // What must hold in every moment (state-1).
  static std::string lie_of(const Snapshot& now) {
    const std::string where = now.cloud_connection_state + ", " + now.device_state + ": ";
    const bool up = now.cloud_connection_state == "Established";
    if (up != (now.device_state == "Request_success")) return where + "the two states differ";
    if (up != now.connected_at.has_value() || up != now.connected_since.has_value()) return where + "connected at";
    if (up && now.failure) return where + "failure " + now.failure->code;
    if (up && now.last_down_at && *now.last_down_at > *now.connected_at) return where + "down after it came up";
    if (up && (now.server_address.empty() || now.connection_port == 0)) return where + "no server";
    if (now.next_attempt_at && now.device_state != "Idle") return where + "next attempt";
    return "";
  }

  void on_snapshot(Snapshot snapshot) override {
    note([&](Told& t) {
      if (const auto lie = lie_of(snapshot); !lie.empty() && t.lies.size() < 100) t.lies.push_back(lie);
      if (t.states.empty() || t.states.back() != snapshot.device_state) t.states.push_back(snapshot.device_state);
      if (t.processes.empty() || t.processes.back() != snapshot.process_state)
        t.processes.push_back(snapshot.process_state);
      t.snapshot = snapshot;
    });
  }
  void on_grants(std::vector<json::Object> grants, std::vector<Refusal> refused) override {
    note([&](Told& t) {
      t.grants = std::move(grants);
      t.refused = std::move(refused);
      ++t.lists;
    });
  }
  void on_revoked(std::string service, std::string reason) override {
    note([&](Told& t) { t.revoked.push_back(service + " " + reason); });
  }
  void on_server_changed() override {
    note([](Told& t) { ++t.moves; });
  }
  void on_command(std::string id, std::string name, json::Object) override {
    note([&](Told& t) { t.commands.push_back(id + " " + name); });
  }
  void on_site_profile(std::string id, config::SiteProfile profile) override {
    note([&](Told& t) { t.profiles.push_back(id + " " + json::to_text(config::to_json(profile))); });
  }
  void on_unbind_result(std::uint64_t id, Status result) override {
    note([&](Told& t) { t.unbindings.push_back(std::to_string(id) + " " + (result ? "ok" : result.error().code)); });
  }
  void on_event(Event event) override {
    note([&](Told& t) { t.events.push_back(event); });
  }
  void on_reached(std::uint64_t id, std::string how) override {
    note([&](Told& t) { t.reached.push_back(std::to_string(id) + " " + how); });
  }
  void on_validity_floor(std::chrono::system_clock::time_point) override {
    note([](Told& t) { ++t.floors; });
  }

  void forget() {
    note([](Told& t) { t = {}; });
  }
  // False when it did not come true in time.
  bool wait(const std::function<bool(const Told&)>& wish, milliseconds patience = TestCloud::kPatience) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, patience, [&] { return wish(told_); });
  }
  Told told() {
    const std::lock_guard lock(mutex_);
    return told_;
  }
  std::string failure() {
    const auto now = told();
    return now.snapshot.failure ? now.snapshot.failure->code + ": " + now.snapshot.failure->message : "none";
  }

 private:
  template <typename Change>
  void note(Change change) {
    const std::lock_guard lock(mutex_);
    change(told_);
    changed_.notify_all();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  Told told_;
};

inline config::Settings test_settings(const TestCloud& cloud) {
  config::Settings settings;
  settings.serial = "TEST-1";
  settings.model = "MSR3620-X1";
  settings.site = "branch-042";
  settings.hostname = "gate";
  settings.authentication_port = cloud.port();
  settings.servers.push_back({"localhost", true, {}});
  settings.ca_file = cloud.ca_file();
  return settings;
}

// A device beside a scripted cloud: started by the constructor, stopped at the latest by the destructor.
class TestDevice {
 public:
  using Adjust = std::function<void(config::Settings&)>;
  using Limits = MainConnection::Limits;

  explicit TestDevice(TestCloud& cloud, const Adjust& adjust = {}, const Limits& limits = {})
      : settings(test_settings(cloud)) {
    if (adjust) adjust(settings);
    begin(limits);
  }
  // `dhcp`: what a lease told before the start.
  explicit TestDevice(config::Settings with, const std::optional<DhcpOffer>& dhcp = {}, const Limits& limits = {})
      : settings(std::move(with)) {
    begin(limits, dhcp);
  }
  // Another life of the same device.
  void restart() {
    connection.reset();
    observer.forget();
    begin(Limits{});
  }

  bool is_established() {
    return observer.wait([](const auto& t) { return t.snapshot.cloud_connection_state == "Established"; });
  }
  bool fails_with(const std::string& code) {
    return observer.wait([&](const auto& t) { return t.snapshot.failure && t.snapshot.failure->code == code; });
  }
  // How long it took.
  milliseconds stop() {
    const auto began = Clock::now();
    connection->stop();
    return std::chrono::duration_cast<milliseconds>(Clock::now() - began);
  }

  void configure(const Adjust& adjust) {
    adjust(settings);
    connection->configure(settings);
  }
  bool is_down(const std::string& code) {
    return observer.wait([&](const auto& t) { return t.snapshot.last_down && t.snapshot.last_down->code == code; });
  }
  bool is_at(std::uint16_t port) {
    return observer.wait([&](const auto& t) {
      return t.snapshot.cloud_connection_state == "Established" && t.snapshot.authentication_port == port;
    });
  }
  bool waits() {
    return observer.wait([](const auto& t) { return t.snapshot.next_attempt_at.has_value(); });
  }

  TestFolder folder;
  config::Settings settings;
  TestObserver observer;
  std::unique_ptr<MainConnection> connection;

 private:
  void begin(const Limits& limits, const std::optional<DhcpOffer>& dhcp = {}) {
    auto made = MainConnection::make(settings, {folder.path() / "state", "boot-1", "0.1.0"}, observer, limits);
    if (!made) throw std::runtime_error(made.error().message);
    connection = std::move(*made);
    if (dhcp) connection->set_dhcp(dhcp);
    connection->start(
        {{"monitoring", "hawser.monitoring", "1.0.0", "sha256:" + std::string(64, 'a'), {"hawser.monitoring.v1"}}});
  }
};

}  // namespace hawser::connection
