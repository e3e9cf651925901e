#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <set>

#include "core/base/waker.hpp"
#include "core/host/grant.hpp"
#include "core/host/outbox.hpp"
#include "core/host/wire.hpp"

namespace hawser::host {

inline constexpr std::chrono::seconds kAckLimit{60};  // an acknowledgement is due and does not come: close 4008

// The half of a stream session that carries messages from the device to the cloud (sdk/protocol.md §5): numbers, the
// window, acknowledgements, refusals, and the new stream after the cloud lost its state. Lives on the I/O thread.
class Sender {
 public:
  Sender(Outbox& outbox, BestEffortQueue& queue, SessionEvents& events, std::function<std::string()> make_stream);

  // The `hello` of a new connection.
  json::Object hello(const Limits& limits);
  // The cloud's answer. A fault with code 1000 and reason cloud_state_lost: a new stream has begun, dial again.
  std::optional<Fault> welcome(const json::Object& message, TimePoint now);
  std::optional<Fault> ack(const json::Object& message, TimePoint now);
  std::optional<Fault> nack(const json::Object& message);
  // Sends what the window and the wire take.
  void pump(Wire& wire, TimePoint now);
  void disconnected();

  // When the acknowledgement is overdue; TimePoint::max() while none is due.
  TimePoint ack_due() const { return ack_due_; }
  std::uint64_t acked_ticket() const { return acked_ticket_; }
  std::uint64_t sent_messages() const { return sent_messages_; }
  std::uint64_t sent_bytes() const { return sent_bytes_; }
  bool everything_acked() const { return outbox_.first() == outbox_.next(); }

 private:
  bool window_takes(std::size_t bytes) const;
  bool send_one_best_effort(Wire& wire);
  bool send_one_durable(Wire& wire, TimePoint now);
  void send_payload(Wire& wire, const Outbox::Entry& entry);
  void send_skipped(Wire& wire, const std::string& reason);
  void acked_through(std::uint64_t number, TimePoint now);
  Fault begin_new_stream(std::uint64_t cloud_has);

  Outbox& outbox_;
  BestEffortQueue& queue_;
  SessionEvents& events_;
  const std::function<std::string()> make_stream_;

  std::string stream_;
  std::uint64_t last_sent_ever_ = 0;  // of this stream, on any connection

  // Of this connection.
  Limits limits_;
  bool open_ = false;  // between resume and the end
  std::uint64_t hello_next_ = 1;
  std::uint64_t next_ = 1;          // the number to send next
  std::deque<std::size_t> flight_;  // wire bytes of what is sent and not acknowledged, oldest first
  std::uint64_t flight_bytes_ = 0;
  TimePoint ack_due_ = TimePoint::max();

  std::uint64_t acked_ticket_ = 0, sent_messages_ = 0, sent_bytes_ = 0;
};

}  // namespace hawser::host
