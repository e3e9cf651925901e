#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/connection/answers.hpp"
#include "core/connection/device_key.hpp"
#include "core/connection/driver.hpp"
#include "core/connection/roster.hpp"
#include "core/connection/shared.hpp"
#include "core/transport/websocket.hpp"

namespace hawser::connection {

// The real steps of the main connection: straight-line code over the transport, whose waits all go through one Waker.
// Lives and dies on the connection thread.
class Session : public Steps {
 public:
  Session(Shared& shared, const DeviceKey& key);

  TimePoint now() const override { return Clock::now(); }
  Outcome perform(Action action, std::size_t server) override;
  Outcome wait_until(TimePoint due) override;
  const Setback& setback() const override { return setback_; }
  const Loss& loss() const override { return loss_; }
  void forget_token(std::size_t server) override { roster_.at(server)->token.clear(); }
  void entered(State from, State to, Outcome outcome) override;

 private:
  // Of session_changes.cpp: what comes from other threads, and what is told of the list.
  std::optional<Impact> adopt();
  Impact apply(const std::optional<config::Settings>& settings, const std::optional<DhcpOffer>& dhcp,
               const std::string& reason);
  void follow_list();
  std::string current_key() const;
  void show_servers();
  void show_wait(TimePoint due);
  void keep_waits();
  void refuse_unbindings();

  Outcome settled(Outcome outcome);
  Outcome step(Action action);
  Outcome serve();
  void note_up();
  void note_move();

  // Of session_steps.cpp: an attempt, from DNS to the answer of the upgrade.
  Outcome dial();
  Outcome authenticate();
  Outcome keep_token();
  Outcome register_device();
  Outcome dial_connection();
  Outcome upgrade();

  Result<transport::HttpAnswer> exchange(const std::string& path, const std::string& bearer, const std::string& body);
  Result<std::unique_ptr<transport::Stream>> open(const transport::Origin& origin);
  void learn(const transport::HttpAnswer& answer, const std::vector<std::uint64_t>& asked);
  std::vector<std::uint64_t> reach_ids();
  Outcome failed(Error error);
  Outcome refused(Outcome outcome, Setback setback);

  Shared& shared_;
  const DeviceKey& key_;
  std::unique_ptr<transport::Dialer> dialer_;  // made anew where another ca_file or proxy counts
  Roster roster_;
  std::shared_ptr<Server> server_;  // of the attempt or the connection under way
  std::optional<Target> present_;   // that server as it was dialled; nothing while waiting

  TimePoint deadline_{};  // of the attempt under way
  std::unique_ptr<transport::Stream> stream_;
  ValidityFloor::Time certificate_ends_{};  // of the server that was dialled last
  bool stream_used_ = false;
  TokenAnswer fresh_token_;
  Registration registration_;
  std::unique_ptr<transport::WebSocket> socket_;
  Setback setback_;
  Loss loss_;
};

}  // namespace hawser::connection
