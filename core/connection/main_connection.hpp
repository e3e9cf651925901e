#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/json.hpp"
#include "core/config/settings.hpp"
#include "core/config/site_profile.hpp"

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

// One server of the list that is tried: a name with a port (sdk/protocol.md §1).
struct Target {
  enum class Source { Config, Dhcp };
  std::string domain;  // as configured or leased, for people
  std::uint16_t port = 0;
  bool primary = true;
  Source source = Source::Config;
  Binding binding{};
  bool operator==(const Target&) const = default;
};

// What a DHCP lease told, checked by the daemon: at most one counts at a time (conn-11).
struct DhcpOffer {
  std::string interface, domain;
  std::optional<std::string> password;
  bool operator==(const DhcpOffer&) const = default;
};

// The list in the order in which it is tried (conn-9, conn-11): the leased name first, then the configured ones, names
// alphabetically whatever their case, ports descending; the role does not change the order.
std::vector<Target> targets_of(const config::Settings& settings, const std::optional<DhcpOffer>& dhcp);

// A target with what became of it, for `state`.
struct ServerState {
  Target target;
  bool current = false;                                             // connected, or its turn
  std::optional<Error> failure;                                     // of the last attempt, until one succeeds
  std::optional<std::chrono::steady_clock::time_point> not_before;  // what this server asked for
  bool operator==(const ServerState&) const = default;
};

// What the device noticed of its network or its sleep.
enum class NetworkChange {
  Route,   // a link, an address or a route came, went or changed: look whether the connection still lives
  Resumed  // the device slept: every old connection is dead
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
  std::uint64_t reports_unbound = 0;  // events of a binding that is gone, reason unbound
  std::uint64_t report_queue_full_count = 0;
  std::optional<std::chrono::steady_clock::time_point> next_attempt_at;
  std::chrono::milliseconds backoff{0};
  std::vector<ServerState> servers;  // in the order in which they are tried
  bool clock_floor_used = false;     // certificates are checked against a later time than the clock's (conn-23)
  std::optional<std::chrono::seconds> clock_ahead;  // of the last verified Date; negative: behind
};

// A line of the history, and of the reports to the cloud: kind (up, down, failover, config, twin, security, ...),
// service and reason as in sdk/protocol.md §4 and §7.
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
  // What the cloud wants of the plugins of the device's site; answer with site_profile_result().
  virtual void on_site_profile(std::string id, config::SiteProfile profile) = 0;
  virtual void on_event(Event event) = 0;  // for the history; the connection reports these itself
  // The answer to unbind(): done, or code_wrong, code_expired, code_used, too_many_requests, not_connected, timeout.
  // After done everything of the old binding is to be discarded: grants, site profile, events, outboxes, counted as
  // `unbound`. Id 0: the cloud let the device go without a request of ours. unbind() itself may call it.
  virtual void on_unbind_result(std::uint64_t id, Status result) = 0;
  // The answer to reach_cloud(): "keepalive_ack", or the status that stands for it ("http_401" and the like).
  virtual void on_reached(std::uint64_t id, std::string how) = 0;
  virtual void on_validity_floor(std::chrono::system_clock::time_point floor) = 0;  // for the hosts
};

// Owns the connection thread. Made, started, stopped and destroyed by the main thread; the rest is for any thread.
class MainConnection {
 public:
  struct Identity {
    std::filesystem::path state_dir;  // keeps device.key (0600), commands.json, validity_floor, last_server, waits
    std::string boot_id, agent_version;
  };
  // The waits of sdk/protocol.md that a test may not wait for.
  struct Limits {
    std::chrono::milliseconds attempt{45'000};      // one server, from DNS to 101 (conn-21)
    std::chrono::milliseconds list_answer{30'000};  // then subconnections are asked for again, with a new id
    std::chrono::milliseconds look{10'000};         // for the answer to the ping after a change of the network
    std::chrono::milliseconds unbind_answer{15'000};
  };

  // Makes or loads the device key in state_dir; an unreadable or broken key is an Error that names the file: it is
  // never replaced in silence.
  static Result<std::unique_ptr<MainConnection>> make(config::Settings settings, Identity identity, Observer& observer,
                                                      Limits limits);
  static Result<std::unique_ptr<MainConnection>> make(config::Settings settings, Identity identity, Observer& observer);
  virtual ~MainConnection() = default;

  virtual void start(std::vector<Offer> offers) = 0;
  // Closes (1000) within the transport's close limit and joins the thread.
  virtual void stop() = 0;

  virtual void set_offers(std::vector<Offer> offers) = 0;  // asks for subconnections anew when the list changed
  virtual void request_grants() = 0;  // the whole list once more; at most one request a second goes out
  // Leaves, reason reset_by_operator, and begins a new round at once: on the present server, or on the first of the
  // list.
  virtual void reset(bool first) = 0;

  // A new configuration, live (conn-25): touches only what it concerns. A server list that still has the present target
  // keeps the connection; without it, it leaves for server_changed_by_config; another password or model authenticates
  // anew; changed intervals, site or host name register anew (sdk/protocol.md §3). It ends the own backoff.
  virtual void configure(config::Settings settings) = 0;
  // The lease that counts now, or none. It ends the own backoff.
  virtual void set_dhcp(std::optional<DhcpOffer> offer) = 0;
  virtual void network_changed(NetworkChange change) = 0;
  virtual void unbind(std::uint64_t id,
                      std::string code) = 0;  // answered by on_unbind_result(), at the latest after 15 s
  // A proof for a server of the list (sdk/protocol.md §2), for `doctor`. Any thread.
  virtual Result<std::string> make_proof(const std::string& domain, const std::string& nonce) const = 0;
  virtual void reach_cloud(std::uint64_t id) = 0;  // an extra keepalive
  virtual void report(Event event) = 0;            // at most 1000 kept, oldest dropped and counted
  virtual void command_result(std::string id, Result<json::Object> result) = 0;
  // The whole message. Sent on the present main connection, if there is one; the cloud asks again on the next.
  virtual void site_profile_result(json::Object message) = 0;
};

}  // namespace hawser::connection
