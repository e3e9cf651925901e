#pragma once

#include <map>
#include <string>
#include <string_view>

#include "core/config/settings.hpp"
#include "core/connection/main_connection.hpp"
#include "core/control/control_socket.hpp"
#include "core/daemon/bundle_upload.hpp"
#include "core/daemon/cloud_plugins.hpp"
#include "core/daemon/history.hpp"
#include "core/daemon/plugin_install.hpp"
#include "core/daemon/reloader.hpp"
#include "core/supervisor/supervisor.hpp"

namespace hawser::daemon {

inline constexpr std::size_t kNameShownMax = 64;  // of a name that somebody else made up, as a message repeats it

// What people and the cloud ask of the agent, and what the main connection tells it: everything meets here and is
// handed to the part whose business it is. Owned by main(), lives on the loop's thread.
class Commands : public connection::Observer {
 public:
  // The parts of the house, which outlive the commands. `settings` is replaced while the agent runs.
  struct House {
    const config::Settings& settings;
    supervisor::Supervisor& supervisor;
    connection::MainConnection& connection;
    History& history;
    Reloader& reloader;
    BundleUpload& bundles;
    CloudPlugins& cloud_plugins;
    PluginInstall& installs;
  };
  explicit Commands(const House& house) : house_(house) {}

  static constexpr std::size_t kUnbindingsMax = 8;  // under way at a time

  // From hawserctl: answers at once, but for what waits: config_reload, unbind, and what reads a plugin's files.
  void answer(const control::Request& request, const control::Reply& reply);

  // From the main connection, through the inbox.
  void on_snapshot(connection::Snapshot snapshot) override;
  void on_grants(std::vector<json::Object> grants, std::vector<connection::Refusal> refused) override;
  void on_revoked(std::string service, std::string reason) override;
  void on_server_changed() override;
  void on_command(std::string id, std::string name, json::Object args) override;
  void on_site_profile(std::string id, config::SiteProfile profile) override;
  void on_event(connection::Event event) override;
  void on_unbind_result(std::uint64_t id, Status result) override;
  void on_reached(std::uint64_t id, std::string how) override;
  void on_validity_floor(std::chrono::system_clock::time_point floor) override;

 private:
  using Answer = Result<json::Object>;
  struct Row {
    std::string_view name;
    control::Access needs;
    Answer (Commands::*now)(const json::Object& args);
    void (Commands::*later)(const json::Object& args, const control::Reply& reply);  // when `now` is null
  };
  static const Row* find_row(std::string_view name);

  Answer state(const json::Object& args);
  Answer plugin_list(const json::Object& args);
  Answer plugin_show(const json::Object& args);
  Answer reset(const json::Object& args);
  Answer history(const json::Object& args);
  Answer proof(const json::Object& args);
  Answer log(const json::Object& args);
  Answer log_level(const json::Object& args);
  Answer config_show(const json::Object& args);
  Answer version(const json::Object& args);
  void plugin_restart(const json::Object& args, const control::Reply& reply);
  void plugin_release(const json::Object& args, const control::Reply& reply);
  void plugin_restart_by_cloud(const json::Object& args, const control::Reply& reply);
  void plugin_install(const json::Object& args, const control::Reply& reply);
  void collect_bundle(const json::Object& args, const control::Reply& reply);
  void tell(const connection::Event& event);
  void plugin_look(const json::Object& args, const control::Reply& reply);
  void plugin_consent(const json::Object& args, const control::Reply& reply);
  void config_reload(const json::Object& args, const control::Reply& reply);
  void unbind(const json::Object& args, const control::Reply& reply);

  House house_;
  connection::Snapshot snapshot_;
  std::string granted_;  // the last list of grants in words: the same again is no event
  std::map<std::uint64_t, control::Reply> unbindings_;
  std::uint64_t last_unbinding_ = 0;
};

}  // namespace hawser::daemon
