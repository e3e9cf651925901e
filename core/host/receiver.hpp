#pragma once

#include <chrono>
#include <deque>
#include <optional>

#include "core/base/waker.hpp"
#include "core/host/grant.hpp"
#include "core/host/received_store.hpp"
#include "core/host/wire.hpp"

namespace hawser::host {

// An acknowledgement is due 200 ms after the message; what is taken before this much has passed shares one write.
inline constexpr std::chrono::milliseconds kGroupDelay{100};
inline constexpr std::size_t kGroupBytes = 1024 * 1024;  // or when this much waits
inline constexpr std::chrono::seconds kStoreRetry{5};    // after a write that failed
inline constexpr std::size_t kNacksMax = 1000;           // refusals that wait for their number to be stored

// The half of a stream session that takes messages from the cloud (sdk/protocol.md §5): order, duplicates, and the rule
// that a number is acknowledged only when the plugin has taken the message and the number is on stable storage. Lives
// on the I/O thread.
class Receiver {
 public:
  Receiver(ReceivedStore& store, SessionEvents& events);

  // The cloud's `welcome`. Afterwards resume_number() is what `resume` says, and resumed() opens this half.
  std::optional<Fault> welcome(const json::Object& message, const Limits& limits, TimePoint now);
  std::uint64_t resume_number() const { return stored_; }
  void resumed(Wire& wire);

  std::optional<Fault> durable(std::uint64_t number, std::string_view payload, bool compressed, TimePoint now);
  std::optional<Fault> skipped(const json::Object& message, TimePoint now);
  // What the plugin said to a message that on_durable() handed over; also after the connection's end.
  std::optional<Fault> verdict(const std::string& stream, std::uint64_t number, Verdict verdict, const std::string& why,
                               TimePoint now);
  void tick(TimePoint now);
  void flush(TimePoint now);  // stores and acknowledges now
  void disconnected();
  void discard();  // the device was unbound: the cloud's old stream is forgotten
  TimePoint next_due() const { return store_due_; }

 private:
  struct Waiting {  // received and not acknowledged: one message, or numbers that the cloud passed over
    std::uint64_t from, to;
    std::size_t bytes;
    bool skipped;
  };

  std::optional<Fault> wait_for(const Waiting& range);
  void take_skipped();
  void store_soon(TimePoint now);
  void acknowledge();

  ReceivedStore& store_;
  SessionEvents& events_;
  std::string stream_;
  std::uint64_t stored_ = 0;       // on stable storage
  std::uint64_t taken_ = 0;        // by the plugin
  std::uint64_t with_plugin_ = 0;  // handed over on an earlier connection, its verdict is still to come; 0: none
  std::deque<std::pair<std::uint64_t, std::string>> nacks_;
  TimePoint store_due_ = TimePoint::max();

  // Of this connection.
  Wire* wire_ = nullptr;
  Limits limits_;
  std::uint64_t received_ = 0;
  std::uint64_t acked_ = 0;
  std::deque<Waiting> waiting_;  // oldest first
  std::uint64_t waiting_bytes_ = 0;
};

}  // namespace hawser::host
