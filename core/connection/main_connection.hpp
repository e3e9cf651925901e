#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/json.hpp"
#include "core/config/settings.hpp"

// The device's side of the main connection (sdk/protocol.md §2 to §4).
namespace hawser::connection {

// What one enabled plugin offers: a row of the registration's `services`.
struct Offer {
  std::string service, plugin, version, digest;  // digest: "sha256:<hex>" of the .so
  std::vector<std::string> protocols;            // in order of preference
};

struct Refusal {
  std::string service, reason;
};

// Where the connection stands, for `hawserctl state`. An immutable value, made anew at each change.
struct Snapshot {
  std::string cloud_connection_state = "Unconnected";  // Unconnected, Request, Established
  std::string device_state = "Idle";  // Idle, Connecting, Request_auth, Request_auth_success, Register,
                                      // Register_success, Request_handshake, Request_success
  std::string server_address, server_domain;
  std::uint16_t authentication_port = 0, connection_port = 0;
  std::optional<std::chrono::system_clock::time_point> connected_at;
  std::optional<std::chrono::steady_clock::time_point> connected_since;
  std::string process_state = "Message not sent";  // the guide's six values
  std::optional<Error> failure;    // of the attempt under way or just ended; code and detail. Cleared when established
  std::optional<Error> last_down;  // why the last established connection ended
  std::optional<std::chrono::system_clock::time_point> last_down_at;
  std::optional<Error> last_report_failure, last_report_incomplete;
  std::optional<std::chrono::system_clock::time_point> last_report_failure_at, last_report_incomplete_at;
  std::uint64_t reports_dropped = 0;  // events dropped from the report queue, reason queue_full
  std::uint64_t report_queue_full_count = 0;
  std::optional<std::chrono::steady_clock::time_point> next_attempt_at;
  std::chrono::milliseconds backoff{0};
};

// A line of the history, and of the reports to the cloud: kind, service, reason as in sdk/protocol.md §4 and §7.
struct Event {
  std::string kind;
  std::string service, reason, detail;  // may be empty
};

// What the connection tells. Every function is called on the connection thread and must not block: post it to the main
// loop.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void on_snapshot(Snapshot snapshot) = 0;
  // The whole list that is in force now: a service that stands in neither has been revoked. Each grant is the object of
  // sdk/protocol.md §5 with the registration's "reconnect_spread_s" (§3) added.
  virtual void on_grants(std::vector<json::Object> grants, std::vector<Refusal> refused) = 0;
  virtual void on_revoked(std::string service, std::string reason) = 0;
  virtual void on_server_changed() = 0;  // another server of the list: subconnections end with 1001
  // A command of the cloud that is not the connection's own; answer with command_result().
  virtual void on_command(std::string id, std::string name, json::Object args) = 0;
  virtual void on_event(Event event) = 0;  // up, down, twin: for the history; the connection reports them itself
  // The answer to reach_cloud(): "keepalive_ack", or the status that stands for it ("http_401" and the like).
  virtual void on_reached(std::uint64_t id, std::string how) = 0;
  virtual void on_validity_floor(std::chrono::system_clock::time_point floor) = 0;  // for the hosts
};

// Owns the connection thread. Made, started, stopped and destroyed by the main thread; the rest is for any thread.
class MainConnection {
 public:
  struct Identity {
    std::filesystem::path state_dir;  // keeps device.key (0600), commands.json, validity_floor
    std::string boot_id, agent_version;
  };

  // Makes or loads the device key in state_dir; an unreadable or broken key is an Error that names the file: it is
  // never replaced in silence.
  static Result<std::unique_ptr<MainConnection>> make(config::Settings settings, Identity identity, Observer& observer);
  virtual ~MainConnection() = default;

  virtual void start(std::vector<Offer> offers) = 0;
  // Closes (1000) within the transport's close limit and joins the thread.
  virtual void stop() = 0;

  virtual void set_offers(std::vector<Offer> offers) = 0;  // asks for subconnections anew when the list changed
  virtual void request_grants() = 0;               // the whole list once more; at most one request a second goes out
  virtual void reset() = 0;                        // leaves, reason reset_by_operator, and begins a new round at once
  virtual void reach_cloud(std::uint64_t id) = 0;  // an extra keepalive
  virtual void report(Event event) = 0;            // at most 1000 kept, oldest dropped and counted
  virtual void command_result(std::string id, Result<json::Object> result) = 0;
};

}  // namespace hawser::connection
