#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <vector>

#include "core/connection/main_connection.hpp"
#include "core/connection/test_cloud.hpp"

namespace hawser::connection {

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
    std::vector<std::string> revoked, reached, commands;
    std::vector<Event> events;
    int floors = 0;
  };

  void on_snapshot(Snapshot snapshot) override {
    note([&](Told& t) {
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
  void on_server_changed() override {}
  void on_command(std::string id, std::string name, json::Object) override {
    note([&](Told& t) { t.commands.push_back(id + " " + name); });
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

// A device beside a scripted cloud: started by the constructor, stopped at the latest by the destructor.
class TestDevice {
 public:
  using Adjust = std::function<void(config::Settings&)>;

  explicit TestDevice(TestCloud& cloud, const Adjust& adjust = {}) {
    config::Settings settings;
    settings.serial = "TEST-1";
    settings.model = "MSR3620-X1";
    settings.site = "branch-042";
    settings.hostname = "gate";
    settings.authentication_port = cloud.port();
    settings.servers.push_back({"localhost", true, {}});
    settings.ca_file = cloud.ca_file();
    if (adjust) adjust(settings);
    auto made = MainConnection::make(settings, {folder.path() / "state", "boot-1", "0.1.0"}, observer);
    if (!made) throw std::runtime_error(made.error().message);
    connection = std::move(*made);
    connection->start(
        {{"monitoring", "hawser.monitoring", "1.0.0", "sha256:" + std::string(64, 'a'), {"hawser.monitoring.v1"}}});
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

  TestFolder folder;
  TestObserver observer;
  std::unique_ptr<MainConnection> connection;
};

}  // namespace hawser::connection
