#pragma once

#include "core/control/ctl_support.hpp"
#include "core/control/doctor_walk.hpp"
#include "core/transport/websocket.hpp"

// The part of `doctor` that needs an agent, which signs the proof: authentication, registration, upgrade, services. It
// never opens a second main connection, and registers only where nothing is connected that it could disturb.
namespace hawser::control {

class CloudWalk {
 public:
  // `state`: the agent's answer to `state`; null without one.
  CloudWalk(const CtlOptions& options, const config::Settings& settings, json::Object state, Waker& waker,
            TimePoint deadline, DoctorReport& report);

  // After ServerWalk::walk() of the same target.
  void walk(const connection::Target& target, const Greeting& greeting);
  void walk_services(const Binding& binding);

 private:
  std::string reason_not_to_register();
  std::optional<std::string> authenticate(const connection::Target& target, const std::string& nonce);
  void register_and_upgrade(const connection::Target& target, const std::string& token);
  void upgrade_while_connected(const connection::Target& target);
  // Asks for a WebSocket without a token: a 401 shows that upgrades come through, and opens nothing.
  void try_upgrade(const std::string& name, const std::string& url, const std::string& protocol,
                   const Binding& binding);
  Result<std::string> ask_for_upgrade(const transport::UpgradeRequest& request, const Binding& binding);
  Result<transport::HttpAnswer> post(const connection::Target& target, const transport::HttpRequest& request);
  void skip(const std::string& name, const std::string& why);

  const CtlOptions& options_;
  const config::Settings& settings_;
  json::Object state_;  // as of the last look
  Waker& waker_;
  const TimePoint deadline_;
  DoctorReport& report_;
  transport::Dialer dialer_;
};

}  // namespace hawser::control
