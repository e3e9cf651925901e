#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/connection/answers.hpp"
#include "core/connection/device_key.hpp"
#include "core/connection/driver.hpp"
#include "core/connection/shared.hpp"
#include "core/transport/websocket.hpp"

namespace hawser::connection {

// The real steps of the main connection: straight-line code over the transport, whose waits all go through one Waker.
// Lives and dies on the connection thread.
class Session : public Steps {
 public:
  Session(Shared& shared, const DeviceKey& key);

  std::size_t servers() const { return servers_.size(); }

  TimePoint now() const override { return Clock::now(); }
  Outcome perform(Action action, std::size_t server) override;
  Outcome wait_until(TimePoint due) override;
  const Setback& setback() const override { return setback_; }
  const Loss& loss() const override { return loss_; }
  void forget_token(std::size_t server) override;
  void entered(State from, State to, Outcome outcome) override;

 private:
  struct Server {
    std::string domain;  // as configured, for people
    transport::Origin origin;
    std::string nonce;  // the newest, unspent; empty: none
    std::string token;  // empty: none
    TimePoint token_until{};
  };

  Outcome dial();
  Outcome authenticate();
  Outcome keep_token();
  Outcome register_device();
  Outcome dial_connection();
  Outcome upgrade();
  Outcome serve();

  Result<transport::HttpAnswer> exchange(const std::string& path, const std::string& bearer, const std::string& body);
  Result<std::unique_ptr<transport::Stream>> open(const transport::Origin& origin);
  void learn(const transport::HttpAnswer& answer, const std::vector<std::uint64_t>& asked);
  std::vector<std::uint64_t> reach_ids();
  Outcome failed(Error error);
  Outcome refused(Outcome outcome, Setback setback);
  void note_up();

  Shared& shared_;
  const DeviceKey& key_;
  transport::Dialer dialer_;
  std::vector<Server> servers_;
  Server* server_ = nullptr;  // of the attempt under way

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
