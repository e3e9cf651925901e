#pragma once

#include <Poco/Net/SocketAddress.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "core/base/network.hpp"
#include "core/base/result.hpp"
#include "core/base/waker.hpp"
#include "core/transport/limits.hpp"

namespace hawser::transport {

// Where to dial: a host name or an IP literal (without brackets), and a TCP port.
struct Origin {
  std::string host;
  std::uint16_t port = 443;
  auto operator<=>(const Origin&) const = default;
  std::string text() const;  // "host:port", an IPv6 literal in brackets
};

// How to dial. A member that is empty means: as the system does it.
struct DialSettings {
  std::string ca_file;  // PEM; empty: the system's hashed directory, looked up one at a time
  std::chrono::system_clock::time_point validity_floor{};  // certificates are checked against max(now, this)
  Proxy proxy{};                                           // for every dial that its no_proxy does not exempt
};

enum class DialStep { Resolving, Resolved, Connecting, Connected, Proxied, Secured };

// A verified TLS connection, non-blocking. Owned by and used on one thread.
class Stream {
 public:
  enum class Io { Done, WantRead, WantWrite, Closed };  // Closed: close_notify, the orderly end

  virtual ~Stream() = default;
  // Moves at most `bytes.size()` bytes; `moved` tells how many, and is 0 unless Done. A broken connection is an Error
  // (peer_closed, also for the end of TCP without close_notify; tls_failed) with the system's words.
  virtual Result<Io> read(std::span<char> bytes, std::size_t& moved) = 0;
  virtual Result<Io> write(std::span<const char> bytes, std::size_t& moved) = 0;
  virtual int descriptor() const = 0;
  virtual std::string peer_address() const = 0;  // numeric, without port
  virtual bool session_was_resumed() const = 0;
  // Until when the peer's certificate is valid; the beginning of time where it has none.
  virtual std::chrono::system_clock::time_point certificate_ends() const { return {}; }
  // Call after the first answer: what is behind TLS works, so that the next dial does not put this address last
  // (conn-18), and the TLS session, whose ticket has arrived by then, is kept for it.
  virtual void answered() = 0;
  virtual void shutdown() noexcept = 0;  // sends close_notify as far as it goes without waiting
};

// Dials. One per thread; keeps TLS contexts and sessions per origin for its life. The first dial makes the process
// ignore SIGPIPE, which OpenSSL would raise for a peer that is gone.
class Dialer {
 public:
  // `waker`: every wait goes through it, and cancel() ends a dial with the code "cancelled". Borrowed.
  Dialer(DialSettings settings, Waker& waker);
  ~Dialer();

  // Names resolved afresh (c-ares; /etc/hosts included), every address tried, kAddressStagger apart, families
  // interleaved; TLS verified for `origin.host` (subjectAltName only). Errors: dns_failed, connect_refused,
  // connect_timeout, network_unreachable, tls_failed, certificate_clock (expired or not yet valid; the message names
  // date and clock), vpn_instance_missing, source_ip_missing, proxy_refused, proxy_auth_required, attempt_timeout,
  // cancelled. Limits are those of limits.hpp, and never beyond `deadline`. `binding` holds for the look-up and the
  // connection alike, to a proxy too. `progress` may be empty.
  Result<std::unique_ptr<Stream>> dial(const Origin& origin, TimePoint deadline,
                                       const std::function<void(DialStep)>& progress = {}, const Binding& binding = {});

  // What the last dial reached, and how many addresses there were to choose from; nothing where none took the connection.
  struct Reached {
    Poco::Net::SocketAddress peer;
    std::size_t addresses = 0;
  };
  const std::optional<Reached>& last_reached() const;
  // What the last dial reached has answered, but not as a cloud does (a gateway's 502, a page of something else): the
  // next dial begins with the other addresses, until this one is reached again (conn-18).
  void distrust_last();
  // The same of an address that somebody else has tried.
  void distrust(const Poco::Net::SocketAddress& peer);

  Waker& waker();
  void set_validity_floor(std::chrono::system_clock::time_point floor);

 private:
  struct Parts;
  std::shared_ptr<Parts> parts_;  // a stream may outlive its dialer
};

}  // namespace hawser::transport
