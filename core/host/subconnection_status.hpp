#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "core/base/json.hpp"
#include "core/base/waker.hpp"
#include "core/host/subconnection_state.hpp"

namespace hawser::host {

inline constexpr std::chrono::seconds kStatusInterval{1};  // between two reports while the state stays
// From a change of figures to their report: a message that is acknowledged as fast as the protocol wants is not told of
// as waiting, however regularly the next one comes.
inline constexpr std::chrono::milliseconds kFiguresSettle{300};

// What the core shows of a subconnection: the `subconnection` message of core/control/channel.hpp.
struct SubconnectionStatus {
  State state = State::WaitingForGrant;
  std::string since;  // RFC 3339
  std::string url, failure_reason, detail;
  std::uint64_t reconnects = 0, sent_messages = 0, sent_bytes = 0, queued_messages = 0, queued_bytes = 0;
  std::uint64_t spooled_messages = 0, spooled_bytes = 0;
  std::map<std::string, std::uint64_t> dropped;
  std::uint64_t buffer_full_count = 0, acked_seq = 0;
  std::optional<std::int64_t> rtt_ms;
  bool operator==(const SubconnectionStatus&) const = default;

  json::Object to_message(const std::string& service) const;
};

// Decides when a status goes out: a new state or failure at once, figures at most once a second and only when they
// changed. An idle subconnection so costs no wake-up. Lives on the I/O thread.
class StatusReporter {
 public:
  // True when `status` is to be sent now.
  bool update(const SubconnectionStatus& status, TimePoint now);
  // Whether the state or failure differs from what was sent, so that a status is due at once.
  bool wants(State state, const std::string& failure_reason) const {
    return !sent_ || sent_->state != state || sent_->failure_reason != failure_reason;
  }
  // When update() should be called again although nothing happens.
  TimePoint next_due() const { return due_; }

 private:
  std::optional<SubconnectionStatus> sent_;
  TimePoint sent_at_{};
  TimePoint due_ = TimePoint::max();
};

// Wall time as RFC 3339 in UTC with milliseconds.
std::string rfc3339(std::chrono::system_clock::time_point time);

}  // namespace hawser::host
