#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/connection/keepalive.hpp"
#include "core/connection/shared.hpp"
#include "core/connection/targets.hpp"
#include "core/connection/waits.hpp"
#include "core/transport/websocket.hpp"

namespace hawser::connection {

// One established main connection, from 101 to its end (sdk/protocol.md §4). Lives on the connection thread.
class Link : public transport::WebSocket::Listener {
 public:
  static constexpr milliseconds kUnboundLimit = 5s;    // from unbind_result to the cloud's close
  static constexpr milliseconds kListRequestGap = 1s;  // at most one request in this time

  // Takes over what changed of configuration, lease and network, and tells what it means for this connection.
  using Adopt = std::function<std::optional<Impact>()>;

  // `spread`: of the registration; it goes to the hosts with each grant, and so does the server's binding.
  Link(Shared& shared, transport::WebSocket& socket, seconds spread, const Target& target, Adopt adopt);

  // Carries the connection until it has ended, and tells how to go on.
  Outcome run();
  seconds drain_retry() const { return drain_ ? drain_->retry_after : 0s; }
  bool lost_locally() const { return lost_locally_; }  // by our network or our sleep, not by the cloud

 private:
  struct Drain {
    TimePoint leave_at;
    seconds retry_after;
  };
  // A ping whose answer shows whether the connection has outlived a change of the network.
  struct Look {
    std::string payload;
    TimePoint limit;
    bool again = false;  // the network changed once more meanwhile
  };
  struct Unbinding {
    std::uint64_t id;     // the caller's
    std::string message;  // its id on the wire
    TimePoint limit;
  };
  using Handler = Status (Link::*)(const json::Object&);
  struct Message {
    std::string_view type;
    Handler handler;
  };
  static const std::vector<Message>& messages();

  void on_text(std::string_view data) override;
  void on_binary(std::string_view data) override;
  void on_pong(std::string_view payload) override;

  // Each handles one message of the cloud; an Error is a schema fault.
  Status keepalive_ack(const json::Object& message);
  Status subconnection_list(const json::Object& message);
  Status subconnection_update(const json::Object& message);
  Status subconnection_revoke(const json::Object& message);
  Status report_ack(const json::Object& message);
  Status command(const json::Object& message);
  Status site_profile(const json::Object& message);
  Status drain(const json::Object& message);
  Status unbind_result(const json::Object& message);

  void take_over_requests();
  void follow_change(const Impact& impact);
  void look(TimePoint now);
  void unbind(TimePoint now);
  void end_unbindings(const Error& why);
  void let_go(std::uint64_t id);
  void run_due(TimePoint now);
  void keep_alive(TimePoint now);
  TimePoint next_due() const;
  bool reach_waits() const;  // somebody asked, and no keepalive went out for it yet
  void send_reach(TimePoint now);
  void ask_for_grants(TimePoint now);
  void send_reports();
  void tell_grants(std::vector<json::Object> grants, std::vector<Refusal> refused);
  void leave(Outcome outcome, std::uint16_t code, std::string_view reason, Error why);
  void hang_up(std::string detail);
  Outcome ended();
  void note_down(const Error& why);
  void tell_twin(const std::string& close_reason);

  Shared& shared_;
  transport::WebSocket& socket_;
  const seconds spread_;
  const json::Object binding_;  // as a grant carries it
  const Adopt adopt_;
  Keepalive keepalive_;
  PingSchedule ping_;

  std::vector<Offer> asked_offers_;     // of the newest request
  std::vector<std::string> asked_ids_;  // unanswered requests for that list
  std::optional<TimePoint> asked_at_;   // of the newest request
  bool answered_ = false;               // the newest list has been answered
  std::vector<Refusal> refused_;        // of the newest subconnection_list
  std::optional<Drain> drain_;
  std::optional<Look> look_;
  std::vector<Unbinding> unbindings_;       // sent, not answered yet
  std::optional<TimePoint> unbound_until_;  // let go by the cloud, which is to close until then
  bool abandoned_ = false;                  // dead for certain: no word is exchanged any more
  bool lost_locally_ = false;
  std::uint64_t unknown_types_ = 0;

  // Set once, when this side ends the connection.
  std::optional<Outcome> leaving_;
  Error leaving_why_;
};

// How a close by the peer is to be followed up, and its name in §7.
Outcome outcome_of_close(std::uint16_t code);
Error down_reason(const transport::Closing& closing);

}  // namespace hawser::connection
