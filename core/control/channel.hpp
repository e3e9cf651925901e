#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>

#include "core/base/files.hpp"
#include "core/base/json.hpp"

// clang-format off
// The control channel between hawserd and one hawser-host: a SOCK_SEQPACKET pair, the host's end at descriptor 3. One
// packet is one message: a header of 16 bytes, then one JSON object of at most kChannelTextMax with a member "type".
// Both ends are always of the same build; yet hawserd reads it as hostile data, since a plugin lives in the host's
// process. Ids are strings, chosen by the end that asks.
//
// From the core
//   setup          plugin, version, digest, instance, library (path), state_dir, config (object), serial, hostname, site,
//                  ca_file, validity_floor (seconds since 1970), actions:[names], services:[{service, protocols:[...]}],
//                  proxy: {host, port, user, password, no_proxy:[...]} or null, confinement (control/confinement.hpp),
//                  spool: {bytes, mode: "safe"|"relaxed"}, callback_budget_ms,
//                  probation (bool: what an older version handed over stays, since it may be put back)
//                                                  always the first message; the plugin's .so stands at descriptor 5
//   grant          grant: the object of sdk/protocol.md §5 with reconnect_spread_s (§3) and the main connection's
//                  binding added: {ip_version: "any"|"4"|"6", vpn_instance, source_ip}
//                                                  a new one replaces the old, and is used at the next dial
//   grant_refused  service, reason                 stops dialling until a grant comes
//   revoke         service, reason                 close 4012, forget the grant, wait for a new one
//   server_changed                                 close 1001, forget all grants, wait for new ones
//   validity_floor at (seconds since 1970)         certificates are checked against the later of it and the clock
//   network_changed  resumed (bool)                a link, an address or a route changed, or the device slept: ends the
//                                                  host's own backoff; after a sleep the old connection is dead
//   unbound                                        the device was let go by its cloud: close, discard grants and outboxes
//                                                  (counted as `unbound`), begin new streams, wait for a grant
//   configure      id, config, mode: "check"|"apply"
//   action_done    id, exit_code (-N: by signal N; null: did not start, or was ended at its limit), output_b64, reason
//                                                  once per action_run
//   cloud_reached  id, ok, how                     once per cloud_reach
//   ping           id                              are you there? Answered by the control thread, whatever the plugin does
//   stop           deadline_ms, keep_state (bool: another version follows; the private state is copied, for this one's
//                                                  return), hand_over (bool: a newer one; what the plugin saves is kept)
// From the host
//   confined       isolation (control/confinement.hpp)   before the plugin's .so is opened; a wall that could not be put up
//                                                  is named there, and the core decides whether to go on
//   pong           id, pss_kib (in the first one, and then once a minute)
//   overrun        callback, for_ms                a callback is open for longer than its budget: now look at the flight
//                                                  page (control/flight_page.hpp). Once per callback
//   overrun_over   callback, for_ms                it returned
//   ready                                          start() has returned HWS_OK
//   refused        reason: "abi_refused"|"config_refused"|"exited", detail
//                                                  the host ends after it; not retried for the first two
//   health         state: "ready"|"degraded"|"stopped"|"faulted", detail
//   log            level: "debug"|"info"|"warn"|"error", message, fields (object of strings)
//   subconnection  service, state: waiting_for_grant|connecting|ready|draining|backoff|refused|revoked|stopped, since
//                  (RFC 3339), url, failure_reason (of §7, or null), detail, reconnects, sent_messages, sent_bytes,
//                  queued_messages, queued_bytes, spooled_messages, spooled_bytes, dropped:{reason:n},
//                  buffer_full_count, acked_seq, rtt_ms
//                                                  on each change of state at once, else at most once a second
//   want_grants    service, why                    the grant failed (401, 403, 404, 4001) or runs out
//   configured     id, status: "ok"|"restart_needed"|"refused", why
//   action_run     id, name
//   cloud_reach    id, timeout_ms
//   metrics        metrics: [{name, kind: "gauge"|"counter", unit, value, attributes}], all of the plugin's own
//                                                  when one has changed, at most every 5 s
//   event          kind, service, reason, detail   a line for the history and for the report to the cloud
// clang-format on
namespace hawser::control {

inline constexpr int kChannelDescriptor = 3;
// In a plugin's state folder: what one version left to the next in an upgrade. Written and read by hosts; taken away by
// hawserd when the newer version has stood its probation.
inline constexpr const char* kHandoverFile = ".hawser-handover";
// Beside it: the private state as the version before left it, which that one gets back should it come back.
inline constexpr const char* kStateBeforeFile = ".hawser-state-before";
inline constexpr std::uint32_t kChannelMagic = 0x48575331;  // "HWS1"
// Magic, length, number (of this direction, from 1), 0; each 32 bits, little-endian.
inline constexpr std::size_t kChannelHeaderBytes = 16;
inline constexpr std::size_t kChannelTextMax = 128 * 1024;  // an action's 64 KiB of output are 86 KiB in base64
inline constexpr std::size_t kChannelQueueMax = 256;  // messages that wait for the socket; then the end is given up

// One end. Owned by and used on one thread, whose Loop watches descriptor(). Non-blocking.
class Channel {
 public:
  explicit Channel(Descriptor socket) : socket_(std::move(socket)) {}

  // A connected pair, both ends close-on-exec and non-blocking: first for the core, second for the host.
  static Result<std::pair<Descriptor, Descriptor>> make_pair();

  int descriptor() const { return socket_.get(); }

  // Queues the message and sends what the socket takes. An Error means that the other end is gone, that the queue is
  // over kChannelQueueMax, or that the text is over kChannelTextMax.
  Status send(const json::Object& message);
  // Sends what waits, when the socket has become writable.
  Status flush();
  bool wants_to_write() const { return !queue_.empty(); }

  // The next message; nothing when none waits. Errors: "closed" when the other end is gone, "bad_payload" for what
  // breaks the form above (the channel is to be given up then), also for one that came with descriptors.
  Result<std::optional<json::Object>> receive();

 private:
  Descriptor socket_;
  std::deque<std::string> queue_;
  std::uint32_t sent_ = 0;
  std::uint32_t received_ = 0;
};

}  // namespace hawser::control
