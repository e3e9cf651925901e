#pragma once

#include "core/host/receiver.hpp"
#include "core/host/sender.hpp"

namespace hawser::host {

inline constexpr std::chrono::seconds kWelcomeLimit{10};     // from hello to welcome
inline constexpr std::chrono::seconds kHangUpAllowance{15};  // beyond the ping interval without an inbound byte

// The session of one subconnection (sdk/protocol.md §5) over any number of connections: what the two ends say to each
// other, without sockets and without a clock. Lives on the I/O thread, which owns it; only the queue is shared.
class StreamSession {
 public:
  struct Identity {
    std::string plugin, version;
  };

  StreamSession(Identity identity, Delivery& delivery, BestEffortQueue& queue, ReceivedStore& store,
                SessionEvents& events, Pace* pace = nullptr);

  // A connection is open: says hello. `wire` is borrowed until disconnected().
  void connected(const Limits& limits, Wire& wire, TimePoint now);
  // What arrives on it. A fault ends the connection with its code; nothing may be handed in after it.
  std::optional<Fault> text(std::string_view data, TimePoint now);
  std::optional<Fault> binary(std::string_view data, TimePoint now);
  void pong(std::string_view payload, TimePoint now);
  std::optional<Fault> verdict(const std::string& stream, std::uint64_t number, Verdict verdict, const std::string& why,
                               TimePoint now);
  // Timers, and what can be sent. `last_inbound`: when bytes last arrived.
  std::optional<Fault> tick(TimePoint now, TimePoint last_inbound);
  void flush(TimePoint now) { receiver_.flush(now); }
  void disconnected();
  // The device was unbound: drops what waits, counted, and forgets both streams. disconnected() follows.
  void discard();

  TimePoint next_due(TimePoint last_inbound) const;  // when tick() has something to do
  bool ready() const { return ready_; }              // welcome came and resume went
  const Sender& sender() const { return sender_; }
  std::optional<std::chrono::milliseconds> round_trip() const { return round_trip_; }

 private:
  std::optional<Fault> control(const std::string& type, const json::Object& message, TimePoint now);
  std::optional<Fault> welcome(const json::Object& message, TimePoint now);
  void send_ping(TimePoint now);

  const Identity identity_;
  SessionEvents& events_;
  Sender sender_;
  Receiver receiver_;

  Wire* wire_ = nullptr;
  Limits limits_;
  bool ready_ = false;
  TimePoint welcome_due_ = TimePoint::max();
  TimePoint ping_due_ = TimePoint::max();
  std::uint64_t ping_number_ = 0;
  TimePoint ping_sent_{};
  std::optional<std::chrono::milliseconds> round_trip_;
};

}  // namespace hawser::host
