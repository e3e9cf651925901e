#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/base/loop.hpp"
#include "core/config/settings.hpp"
#include "core/connection/main_connection.hpp"
#include "core/supervisor/action_runner.hpp"
#include "core/supervisor/cloud_reaches.hpp"
#include "core/supervisor/config_exchange.hpp"
#include "core/supervisor/grant_book.hpp"
#include "core/supervisor/plugin_metrics.hpp"
#include "core/supervisor/plugin_policies.hpp"
#include "core/supervisor/quarantine.hpp"
#include "core/supervisor/subconnection_book.hpp"
#include "core/supervisor/supervised_plugin.hpp"
#include "core/supervisor/version_book.hpp"
#include "core/supervisor/version_look.hpp"

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
  std::filesystem::path plugin_dir, state_dir, host_program, trust_dir;
};

inline constexpr double kEventsPerSecond = 0.5;  // to the cloud's report, of one plugin
inline constexpr double kEventsBurst = 20;

// Runs the enabled plugins, each in a host process of its own, and passes between hosts and main connection what
// belongs to each: grants, actions, events. It never waits for one plugin while another needs it.
// Owned by main(), lives on the loop's thread; `loop` and `cloud` must outlive it.
class Supervisor : private SupervisedPlugin::Keeper {
 public:
  // Looks at the plugins on disk; starts nothing.
  // `cgroups`: or why limits are held without.
  Supervisor(Loop& loop, config::Settings settings, Paths paths, Cloud& cloud, Timing timing = {},
             Result<CgroupTree> cgroups = Error{"no_cgroup", "cgroup: none was asked for"});
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
  // "quarantined" for one that is kept there. `done` comes when the plugin's files were read, which another thread does;
  // not at all when the supervisor ends before.
  using Answered = std::function<void(const Status&)>;
  void restart(const std::string& id, const Answered& done);

  // By the operator: looks at the plugin on disk anew (sdk-10). A newer version that may run takes the old one's place, on
  // probation; what it fails there puts the old one back, with the state that it saved. The answer: `state`, a sentence
  // `detail`, and `keep`, the versions that must stay on the disk. It comes when the plugin's files were read, which
  // another thread does; not at all when the supervisor ends before.
  using Looked = std::function<void(const Result<json::Object>&)>;
  void look(const std::string& id, const Looked& done);
  // What a version asks for beyond what the one before it was granted.
  struct Consent {
    std::string version;
    std::vector<std::string> permissions;
  };
  // To this, and no more: it starts. "bad_request" when no version waits, or another one does, or it asks for more.
  void consent(const std::string& id, const Consent& given, const Looked& done);
  // What waits for consent; null when nothing does.
  const Consent* consent_asked(const std::string& id) const;
  // Why another version than the wanted one runs; null when it does not.
  const Error* waiting(const std::string& id) const;
  // It is what it will be for a while: no host starts or stops, no [config] is on its way.
  bool is_settled(const std::string& id) const;
  // It did not take the newest [config], and goes on with the old one or does not run.
  bool refused_config(const std::string& id) const;
  const VersionBook& versions() const { return versions_; }
  const std::filesystem::path& plugin_dir() const { return paths_.plugin_dir; }

  // By the operator: out of quarantine, or out of safe mode for this one alone, and started. "bad_request" when it was in
  // neither. `done` as with restart().
  void release(const std::string& id, const Answered& done);
  // All that are in quarantine, and out of safe mode; their ids. They start when their files were read.
  std::vector<std::string> release_all();
  // Before start(): the agent itself failed too often (ops-6), so no plugin is started. Until the operator releases them,
  // a new configuration, or leave_safe_mode().
  void enter_safe_mode(const Error& why, std::function<void()> left = {});
  void leave_safe_mode(const std::string& why);
  const std::optional<Error>& safe_mode() const { return safe_mode_; }
  bool development_mode() const { return settings_.development_mode; }

  // A new configuration, live: plugins newly enabled start, those enabled no more stop; one whose [config] changed is
  // asked to take it as it runs, and started again when it cannot; the others are not touched, unless what every host
  // is told at its start has changed. Looks at the disk for the new ones.
  void configure(config::Settings settings);
  static constexpr milliseconds kRetireLimit{5000};  // for a plugin that is enabled no more

  // From the main connection.
  void set_grants(const std::vector<json::Object>& grants, const std::vector<connection::Refusal>& refused);
  void revoke(const std::string& service, const std::string& reason);
  void server_changed();
  void reached(std::uint64_t id, const std::string& how);
  void set_validity_floor(std::chrono::system_clock::time_point floor);
  void network_changed(bool resumed);
  void unbound();  // let go by the cloud: nothing of the old binding is kept

  // For the displays. Sorted by id.
  std::vector<const SupervisedPlugin*> plugins() const;
  const SupervisedPlugin* find(const std::string& id) const;
  const SubconnectionBook& subconnections() const { return book_; }
  const PluginPolicies& policies() const { return policies_; }
  const PluginMetrics& metrics() const { return metrics_; }

 private:
  json::Object setup_of(const SupervisedPlugin& plugin) override;
  void on_started(SupervisedPlugin& plugin) override;
  void on_message(SupervisedPlugin& plugin, const std::string& type, const json::Object& message) override;
  std::optional<Error> explain_end(const SupervisedPlugin& plugin, const ExitCause& cause) override;
  Error over_memory(const SupervisedPlugin& plugin, const std::string& uses) override;
  void on_state(SupervisedPlugin& plugin) override;
  void on_host_ended(SupervisedPlugin& plugin, const Error& why) override;
  void on_quarantined(SupervisedPlugin& plugin) override;

  // Watching (watching.cpp).
  void look_around();
  void begin(SupervisedPlugin& plugin);
  const Quarantine::Entry* isolation_of(const FoundPlugin& found, const config::PluginSettings& settings);
  void report_release(const std::string& id, const std::string& why);

  // Versions (upgrades.cpp).
  std::optional<Error> objection(const FoundPlugin& newest, const VersionBook::Entry& entry) const;
  // What the book is told of the version that was chosen, once it does run.
  enum class Standing { AsBefore, Settled, OnTrial, TrialOver };
  struct Choice {
    FoundPlugin plugin;
    Standing standing;
  };
  LookRequest look_request(const std::string& id) const;
  Choice select(Candidates candidates);
  Choice hold_back(Candidates candidates, Error against, const VersionMark& settled, const VersionMark& trial);
  Choice choose(Candidates candidates);
  void note(const Choice& choice);
  bool takes_over(const FoundPlugin& plugin) const;
  void change_version(SupervisedPlugin& plugin, Choice choice);
  void forget_saved(const std::string& id);
  void put_back(const std::string& id, const VersionMark& failed, const Error& why, Candidates candidates);
  void restart_in_any_case(const std::string& id, const Answered& done);  // also when many wait already
  Status take_restart(const std::string& id, Candidates candidates);
  void tell_upgrade(const char* reason, const std::string& words);
  void watch_probation(SupervisedPlugin& plugin);
  void forget_probation(const std::string& id);
  void end_probation(SupervisedPlugin& plugin);
  void fail_probation(const std::string& id, const Error& why);
  json::Object with_versions(const std::string& id, json::Object answer) const;
  json::Object look_without(const std::string& id);
  std::optional<json::Object> waiting_answer(const std::string& id, const std::string& runs) const;
  json::Object take_look(const std::string& id, Candidates candidates);

  void on_subconnection(SupervisedPlugin& plugin, const json::Object& message);
  void on_want_grants(SupervisedPlugin& plugin, const json::Object& message);
  void on_action_run(SupervisedPlugin& plugin, const json::Object& message);
  void on_cloud_reach(SupervisedPlugin& plugin, const json::Object& message);
  void on_event(SupervisedPlugin& plugin, const json::Object& message);
  // True when there was a grant or a refusal to send.
  void on_confined(SupervisedPlugin& plugin, const json::Object& message);
  void on_pong(SupervisedPlugin& plugin, const json::Object& message);
  void on_metrics(SupervisedPlugin& plugin, const json::Object& message);
  void on_configured(SupervisedPlugin& plugin, const json::Object& message) {
    exchange_.on_configured(plugin, message);
  }
  void on_offered(SupervisedPlugin& plugin, ConfigExchange::Outcome outcome, const config::PluginSettings& settings,
                  const std::string& why);
  void reconfigure(SupervisedPlugin& plugin, bool restart);
  void judge_again(SupervisedPlugin& plugin);
  void restart_or_say(const std::string& id);
  void change_guard();
  void ask_to_admit(const std::string& id);
  void admit(const std::string& id, Candidates candidates);
  SupervisedPlugin& enter(Choice choice);
  void remove(const std::string& id);
  SupervisedPlugin& add(FoundPlugin found);
  config::PluginSettings settings_of(const std::string& id) const;
  void send_to_all(const json::Object& message);
  Policy plan(const SupervisedPlugin& plugin, const config::PluginSettings& settings);
  std::string namespace_for(const SupervisedPlugin& plugin) const;
  void follow_binding(SupervisedPlugin& plugin);
  bool send_grant(SupervisedPlugin& plugin, const std::string& service);
  void report(const SupervisedPlugin& plugin, connection::Event event);
  SupervisedPlugin* find_owner(const std::string& service);
  void finish_stop(bool even_if_some_are_left);
  TrustRules trust_rules() const;

  Loop& loop_;
  config::Settings settings_;
  Paths paths_;
  Cloud& cloud_;
  Timing timing_;
  PluginPolicies policies_;
  Quarantine quarantine_;
  VersionBook versions_;
  VersionLook look_;
  std::set<std::string> refused_configs_;                  // of running plugins, which go on with the old one
  std::map<std::string, Error> waiting_;                   // by plugin: what keeps its newest version from running
  std::map<std::string, Consent> consents_;                // by plugin: what its newest version asks for beyond
  std::set<std::string> falling_back_;                     // whose old version is being read, to come back
  std::map<std::string, int> restarting_;                  // whose files are being read, to start again; how often
  std::map<std::string, Loop::TimerId> probation_clocks_;  // by plugin, of those whose running version is on probation
  std::optional<Error> safe_mode_;
  std::function<void()> safe_mode_left_;
  ActionRunner actions_;
  CloudReaches reaches_;
  GrantBook grants_;
  SubconnectionBook book_;
  PluginMetrics metrics_;
  std::chrono::system_clock::time_point validity_floor_{};
  ConfigExchange exchange_;
  std::map<std::string, RateLimit> event_rates_;
  std::set<std::string> retiring_;  // of plugins_: stop, and are forgotten then
  std::set<std::string> arriving_;  // enabled, and wait for one that is on its way out, or for their files to be read
  std::map<std::string, std::uint64_t> admitting_;  // of arriving_: whose files are being read, by which reading
  std::uint64_t last_admitting_ = 0;
  std::map<std::string, std::unique_ptr<SupervisedPlugin>> plugins_;  // last: hosts end before what they use
  std::function<void()> on_stopped_;
  bool stopping_ = false;
  Loop::TimerId stop_clock_ = 0, round_clock_ = 0;
  TimePoint last_round_{};
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // a timer of ours may fire after our end
};

}  // namespace hawser::supervisor
