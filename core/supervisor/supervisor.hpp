#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/base/loop.hpp"
#include "core/config/settings.hpp"
#include "core/connection/main_connection.hpp"
#include "core/supervisor/action_runner.hpp"
#include "core/supervisor/cloud_reaches.hpp"
#include "core/supervisor/grant_book.hpp"
#include "core/supervisor/subconnection_book.hpp"
#include "core/supervisor/supervised_plugin.hpp"

namespace hawser::supervisor {

// What the supervisor asks of the main connection. Never blocks.
class Cloud {
 public:
  virtual ~Cloud() = default;
  virtual void set_offers(std::vector<connection::Offer> offers) = 0;
  virtual void request_grants() = 0;
  virtual void reach_cloud(std::uint64_t id) = 0;
  virtual void report(connection::Event event) = 0;
};

struct Paths {
  std::filesystem::path plugin_dir, state_dir, host_program;
};

inline constexpr double kEventsPerSecond = 0.5;  // to the cloud's report, of one plugin
inline constexpr double kEventsBurst = 20;

// Runs the enabled plugins, each in a host process of its own, and passes between hosts and main connection what
// belongs to each: grants, actions, events. It never waits for one plugin while another needs it.
// Owned by main(), lives on the loop's thread; `loop` and `cloud` must outlive it.
class Supervisor : private SupervisedPlugin::Keeper {
 public:
  // Looks at the plugins on disk; starts nothing.
  Supervisor(Loop& loop, const config::Settings& settings, Paths paths, Cloud& cloud, Timing timing = {});
  ~Supervisor() override;

  // What the accepted plugins offer, sorted by plugin id: known before any host runs.
  std::vector<connection::Offer> offers() const;
  void start();
  // Tells every host to stop; `done` comes once, when the last one is gone, at the latest kLastMoment after `limit`.
  static constexpr milliseconds kLastMoment{300};
  void stop(milliseconds limit, std::function<void()> done);

  // By the operator or the cloud. Looks at the plugin on disk anew: one that was refused there may be mended, or be
  // there in a newer version. Error "not_found" for an id that is not enabled, else with the store's sentence; what
  // runs then goes on running.
  Status restart(const std::string& id);

  // From the main connection.
  void set_grants(const std::vector<json::Object>& grants, const std::vector<connection::Refusal>& refused);
  void revoke(const std::string& service, const std::string& reason);
  void server_changed();
  void reached(std::uint64_t id, const std::string& how);
  void set_validity_floor(std::chrono::system_clock::time_point floor);

  // For the displays. Sorted by id.
  std::vector<const SupervisedPlugin*> plugins() const;
  const SupervisedPlugin* find(const std::string& id) const;
  const SubconnectionBook& subconnections() const { return book_; }

 private:
  json::Object setup_of(const SupervisedPlugin& plugin) override;
  void on_started(SupervisedPlugin& plugin) override;
  void on_message(SupervisedPlugin& plugin, const std::string& type, const json::Object& message) override;
  void on_state(SupervisedPlugin& plugin) override;
  void on_host_ended(SupervisedPlugin& plugin, const Error& why) override;

  void on_subconnection(SupervisedPlugin& plugin, const json::Object& message);
  void on_want_grants(SupervisedPlugin& plugin, const json::Object& message);
  void on_action_run(SupervisedPlugin& plugin, const json::Object& message);
  void on_cloud_reach(SupervisedPlugin& plugin, const json::Object& message);
  void on_event(SupervisedPlugin& plugin, const json::Object& message);
  // True when there was a grant or a refusal to send.
  bool send_grant(SupervisedPlugin& plugin, const std::string& service);
  void report(const SupervisedPlugin& plugin, connection::Event event);
  SupervisedPlugin* find_owner(const std::string& service);
  void finish_stop(bool even_if_some_are_left);
  FoundPlugin look_again(const std::string& id) const;

  Loop& loop_;
  const config::Settings& settings_;
  Paths paths_;
  Cloud& cloud_;
  ActionRunner actions_;
  CloudReaches reaches_;
  GrantBook grants_;
  SubconnectionBook book_;
  std::chrono::system_clock::time_point validity_floor_{};
  std::map<std::string, RateLimit> event_rates_;
  std::map<std::string, std::unique_ptr<SupervisedPlugin>> plugins_;  // last: hosts end before what they use
  std::function<void()> on_stopped_;
  Loop::TimerId stop_clock_ = 0;
};

}  // namespace hawser::supervisor
