#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <deque>

#include "core/base/waker.hpp"
#include "core/host/grant.hpp"
#include "core/host/delivery.hpp"
#include "core/host/pace.hpp"
#include "core/host/wire.hpp"

namespace hawser::host {

inline constexpr std::chrono::seconds kAckLimit{60};  // an acknowledgement is due and does not come: close 4008

// The half of a stream session that carries messages from the device to the cloud (sdk/protocol.md §5): numbers, the
// window, acknowledgements, refusals, and the new stream after the cloud lost its state. Lives on the I/O thread.
class Sender {
 public:
  // `pace` may be none.
  Sender(Delivery& delivery, BestEffortQueue& queue, SessionEvents& events, Pace* pace);

  // The `hello` of a new connection.
  json::Object hello(const Limits& limits);
  // The cloud's answer. A fault with code 1000 and reason cloud_state_lost: a new stream has begun, dial again.
  std::optional<Fault> welcome(const json::Object& message, TimePoint now);
  std::optional<Fault> ack(const json::Object& message, TimePoint now);
  std::optional<Fault> nack(const json::Object& message);
  // Sends what the window, the pace and the wire take.
  void pump(Wire& wire, TimePoint now);
  void disconnected();
  // The device was unbound: drops what waits, counted as `unbound`, and begins a new stream. Then comes disconnected().
  void discard();

  // When the acknowledgement is overdue; TimePoint::max() while none is due.
  TimePoint ack_due() const { return ack_due_; }
  // When pump() may go on, when the pace held it up; else TimePoint::max().
  TimePoint paced_until() const { return paced_until_; }
  std::uint64_t acked_ticket() const { return acked_ticket_; }
  std::uint64_t sent_messages() const { return sent_messages_; }
  std::uint64_t sent_bytes() const { return sent_bytes_; }
  bool everything_acked() const { return delivery_.waiting() == 0 || delivery_.acked() + 1 == delivery_.end(); }
  // Its hello named a stream that the messages are no longer numbered in: the connection has to begin again.
  bool stream_changed() const { return open_ && stream_ != delivery_.stream(); }

 private:
  bool window_takes(std::size_t bytes) const;
  bool send_one_best_effort(Wire& wire, TimePoint now);
  bool waits_for_pace(TimePoint now);
  void count_sent(std::size_t bytes, TimePoint now);
  bool send_one_durable(Wire& wire, TimePoint now);
  bool fetch();
  void send_payload(Wire& wire, TimePoint now);
  void send_skipped(Wire& wire, std::uint64_t to, const std::string& reason);
  void acked_through(std::uint64_t number, TimePoint now);
  Fault begin_new_stream(std::uint64_t cloud_has);

  Delivery& delivery_;
  BestEffortQueue& queue_;
  SessionEvents& events_;
  Pace* const pace_;

  std::uint64_t last_sent_ = 0;     // the last ticket that this process sent in the present stream, on any connection
  std::uint64_t counted_lost_ = 0;  // the last ticket whose loss was counted

  // Of this connection.
  Limits limits_;
  bool open_ = false;  // between resume and the end
  std::string stream_;
  std::uint64_t base_ = 0;  // number = ticket - base
  std::uint64_t hello_next_ = 1;
  std::uint64_t next_ = 1;  // the number to send next
  struct Flying {
    std::uint64_t number;
    std::size_t bytes;  // on the wire
  };
  std::deque<Flying> flight_;  // what is sent and not acknowledged, oldest first
  std::uint64_t flight_bytes_ = 0;
  TimePoint ack_due_ = TimePoint::max(), paced_until_ = TimePoint::max();
  std::optional<Outgoing> outgoing_;  // of next_, when it waits for the window

  std::uint64_t acked_ticket_ = 0, sent_messages_ = 0, sent_bytes_ = 0;
};

}  // namespace hawser::host
