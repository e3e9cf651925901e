#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/base/json.hpp"

namespace hawser::supervisor {

// Of what a host says, as it is kept and shown.
inline constexpr std::size_t kReasonBytesMax = 64;
inline constexpr std::size_t kDetailBytesMax = 512;

// A count that a host tells since its own start, summed over the hosts: it survives the death of one.
class LastingCount {
 public:
  void set(std::int64_t told) { now_ = std::max(now_, told); }  // a count that falls is not believed
  void add(std::int64_t more) { now_ += std::min(more, json::kIntegerMax - now_); }
  void next_host() {
    before_ = total();
    now_ = 0;
  }
  std::int64_t total() const { return std::min(before_ + now_, json::kIntegerMax); }

 private:
  std::int64_t before_ = 0, now_ = 0;
};

// What is known of one subconnection. Texts are safe to show.
struct Subconnection {
  std::string service, plugin;
  std::string state = "stopped";  // waiting_for_grant, connecting, ready, draining, backoff, refused, revoked, stopped
  std::string since;              // RFC 3339; of this state
  std::string url, failure_reason, detail;  // may be empty
  LastingCount reconnects, sent_messages, sent_bytes, buffer_full;
  std::map<std::string, LastingCount> dropped;  // by reason
  std::optional<std::int64_t> queued_messages, queued_bytes, spooled_messages, spooled_bytes, acked_seq, rtt_ms;
};

// Every subconnection of the device, by service: the state that hosts told, and sums that outlive them.
// Owned by the supervisor, lives on the loop's thread. Host messages are hostile data: checked, bounded, made
// printable.
class SubconnectionBook {
 public:
  void add(const std::string& plugin, const std::string& service);
  void remove(const std::string& plugin);  // its services; what they counted stays in the sums

  // Takes a host's `subconnection` message about a service of its own. True when the state has changed.
  Result<bool> take(Subconnection& row, const json::Object& message);
  // The host of this plugin is gone, and with it what waited in its memory alone: counted as dropped, `expired`. How many
  // messages that were, by service, as far as the host had told. What is in the spool is sent by the next host.
  std::map<std::string, std::int64_t> host_ended(const std::string& plugin, const std::string& reason,
                                                 const std::string& detail);

  Subconnection* find(const std::string& service);
  const std::map<std::string, Subconnection>& rows() const { return rows_; }

  // Sums over all, since the start of the agent.
  std::int64_t dropped(const std::string& reason) const;
  std::int64_t dropped() const;
  std::int64_t dropped_at_limit() const;  // because a queue or a spool was full
  std::int64_t buffer_full() const;

 private:
  std::map<std::string, Subconnection> rows_;
  std::map<std::string, std::int64_t> gone_dropped_;  // of services that are no more
  std::int64_t gone_buffer_full_ = 0;
};

}  // namespace hawser::supervisor
