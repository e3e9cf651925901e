#pragma once

#include <string_view>

#include "core/transport/http.hpp"

namespace hawser::transport {

// Who ended a WebSocket and why. `code` is the close code, or 1006 when the connection ended without a Close.
struct Closing {
  std::uint16_t code = 1006;
  std::string reason;  // the peer's text, printable, or the reason name that we sent
  bool by_peer = true;
  std::string error;   // a reason of sdk/protocol.md §7, such as peer_closed, hang_up, framing, normal
  std::string detail;  // words for people; may be empty
};

// An open WebSocket (RFC 6455, client side) over one Stream. Owned by and used on one thread: that of `waker`.
class WebSocket {
 public:
  class Listener {
   public:
    virtual ~Listener() = default;
    // `data` is borrowed for the call. The listener may send and close from inside.
    virtual void on_text(std::string_view data) = 0;
    virtual void on_binary(std::string_view data) = 0;
    virtual void on_pong(std::string_view payload) { (void)payload; }
  };
  enum class Turn { Open, Closed };

  virtual ~WebSocket() = default;

  // Queues one message, masked, in frames of at most kFrameBytesMax. `head` and `body` are sent as one message. Never
  // blocks, always takes it: ask writable() before sending what can wait. Ignored after close().
  virtual void send_text(std::string_view text) = 0;
  virtual void send_binary(std::string_view head, std::string_view body) = 0;
  virtual void ping(std::string_view payload) = 0;
  // Queued output goes first, then the Close, then the peer's Close and the end of TCP are awaited, all within
  // kCloseLimit.
  virtual void close(std::uint16_t code, std::string_view reason) = 0;

  virtual bool writable() const = 0;             // queued output is below kOutputHighWater
  virtual std::size_t queued_bytes() const = 0;  // bytes that the kernel has not taken yet
  virtual TimePoint last_inbound() const = 0;    // when bytes last arrived

  // One turn: writes, reads within kReadsPerTurn, tells the listener, then waits for the peer, a wake() or `until`;
  // without waiting where something was heard or where writable() has become true again. Answers pings. Returns Closed
  // once, when everything is over; closing() then tells why. Never throws for what the peer or the network does.
  virtual Turn turn(Listener& listener, TimePoint until) = 0;
  virtual const Closing& closing() const = 0;
  virtual Stream& stream() = 0;
};

struct UpgradeRequest {
  Origin origin;
  std::string path;      // with its query
  std::string protocol;  // Sec-WebSocket-Protocol: exactly one is asked for, and must be answered
  std::string bearer;
  std::size_t message_bytes_max = 0;  // a longer message from the peer is closed with 1009
};

// What the upgrade brought: `socket` for a 101 that passed every check, else `answer` with another status.
struct Upgrade {
  std::unique_ptr<WebSocket> socket;
  HttpAnswer answer;
};

// RFC 6455 §4.1 over `stream`, until `deadline` or kHttpLimit. A 101 that fails a check is an Error upgrade_refused
// that names the check; other errors as for exchange().
Result<Upgrade> upgrade(std::unique_ptr<Stream> stream, Waker& waker, const UpgradeRequest& request,
                        TimePoint deadline);

}  // namespace hawser::transport
