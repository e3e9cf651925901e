#pragma once

#include <string>

#include "core/config/settings.hpp"
#include "core/connection/main_connection.hpp"
#include "core/control/control_socket.hpp"
#include "core/supervisor/supervisor.hpp"

namespace hawser::daemon {

// What people and the cloud ask of the agent, and what the main connection tells it: everything meets here and is
// handed to the part whose business it is. Owned by main(), lives on the loop's thread.
class Commands : public connection::Observer {
 public:
  Commands(const config::Settings& settings, supervisor::Supervisor& supervisor, connection::MainConnection& connection)
      : settings_(settings), supervisor_(supervisor), connection_(connection) {}

  // From hawserctl: answers at once.
  void answer(const control::Request& request, const control::Reply& reply);

  // From the main connection, through the inbox.
  void on_snapshot(connection::Snapshot snapshot) override;
  void on_grants(std::vector<json::Object> grants, std::vector<connection::Refusal> refused) override;
  void on_revoked(std::string service, std::string reason) override;
  void on_server_changed() override;
  void on_command(std::string id, std::string name, json::Object args) override;
  void on_event(connection::Event event) override;
  void on_reached(std::uint64_t id, std::string how) override;
  void on_validity_floor(std::chrono::system_clock::time_point floor) override;

 private:
  using Answer = Result<json::Object>;
  Answer run(const std::string& name, const json::Object& args);
  Answer state(const json::Object& args);
  Answer plugin_list(const json::Object& args);
  Answer plugin_show(const json::Object& args);
  Answer plugin_restart(const json::Object& args);
  Answer reset(const json::Object& args);
  Answer log_level(const json::Object& args);
  Answer config_show(const json::Object& args);
  Answer version(const json::Object& args);

  const config::Settings& settings_;
  supervisor::Supervisor& supervisor_;
  connection::MainConnection& connection_;
  connection::Snapshot snapshot_;
};

}  // namespace hawser::daemon
