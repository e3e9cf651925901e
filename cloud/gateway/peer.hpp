#pragma once

#include <cstdint>
#include <string>
#include <string_view>

// The edge between what is said on a WebSocket and how it travels. Everything here lives on the gateway's thread.
namespace hawser::cloud {

// The other end of one WebSocket. Owned by the server; outlives its conversation.
class Peer {
 public:
  virtual ~Peer() = default;
  // Queued without waiting; a queue over its limit ends the connection.
  virtual void send_text(std::string text) = 0;
  virtual void send_binary(std::string bytes) = 0;
  // After what is queued. Later messages in either direction are dropped. A reason longer than a Close holds is cut.
  virtual void close(int code, std::string_view reason) = 0;
  virtual std::size_t queued_bytes() const = 0;  // what waits to be sent, with its cost
  virtual const std::string& address() const = 0;
  virtual std::int64_t last_inbound_ms() const = 0;  // monotonic
};

// What is said on it. Exceptions end the connection with 1011.
class Conversation {
 public:
  virtual ~Conversation() = default;
  virtual std::size_t message_bytes_max() const = 0;
  // While true nothing more is read: what it passes on piles up elsewhere.
  virtual bool is_behind() const { return false; }
  virtual void on_open() = 0;
  virtual void on_text(std::string_view text) = 0;
  virtual void on_binary(std::string_view bytes) = 0;
  // Once, last. `code` and `words` are of the device's Close; 1006 without one.
  virtual void on_closed(int code, std::string_view words) = 0;
};

// The name that sdk/protocol.md §7 has for how the device ended it.
std::string reason_of_close(int code, std::string_view words);

}  // namespace hawser::cloud
