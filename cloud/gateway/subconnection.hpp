#pragma once

#include <deque>
#include <optional>
#include <string>

#include "cloud/gateway/hub.hpp"
#include "cloud/gateway/service_session.hpp"
#include "cloud/gateway/stream_receiver.hpp"

namespace hawser::cloud {

// A subconnection to one of the cloud's own services, sdk/protocol.md §5. Shared by hub and server; the hub's thread.
class Subconnection final : public ServiceSession,
                            public CommitListener,
                            public std::enable_shared_from_this<Subconnection> {
 public:
  static constexpr std::int64_t kHelloMs = 10'000;
  static constexpr std::int64_t kAckDueMs = 60'000;
  static constexpr int kSendBatch = 16;  // messages read from the store at once

  Subconnection(Hub& hub, Peer& peer, TokenRecord token, const Microservice& microservice);

  std::size_t message_bytes_max() const override;
  void on_open() override;
  void on_text(std::string_view text) override;
  void on_binary(std::string_view bytes) override;
  void on_closed(int code, std::string_view words) override;
  void on_committed(Seq last) override;
  void on_commit_failed() override;

  void tick(Now now) override;
  void store_changed() override;
  void end(int code, const std::string& reason) override;

 private:
  struct InFlight {
    Seq seq;
    std::size_t bytes;
  };

  void hello(const Json& message);
  void resume(const Json& message);
  void ack(const Json& message);
  void nack(const Json& message);
  void skipped(const Json& message);
  void durable(const DataMessage& data, std::size_t wire_bytes);
  Result<Effect> effect_of(const DataMessage& data) const;
  void take_in(ReceivedMessage message, std::size_t wire_bytes);
  void send(const Json& message);
  void send_outbound();
  void take_acked(Seq seq);
  void store_resumed();

  Hub& hub_;
  Peer& peer_;
  const Microservice& microservice_;
  StreamKey key_;
  std::int64_t opened_ms_ = 0;

  // device to cloud
  std::optional<StreamReceiver> receiver_;  // from hello on
  std::deque<InFlight> waiting_;            // received, not yet stored
  std::size_t waiting_bytes_ = 0;
  struct Refused {
    Seq seq;
    Error error;
  };
  std::deque<Refused> refused_;  // nacks that wait for their commit
  std::uint64_t dropped_ = 0;    // best-effort messages and texts without a taker

  // cloud to device
  bool resumed_ = false;
  Seq sent_ = 0, acked_ = 0;
  std::optional<Seq> resumed_at_;  // of `resume`, until nothing but a nack can still name what it covers
  std::deque<InFlight> in_flight_;
  std::size_t in_flight_bytes_ = 0;
  std::int64_t ack_due_since_ms_ = 0;

  std::string ended_;
};

}  // namespace hawser::cloud
