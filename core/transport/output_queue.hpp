#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/transport/frame_codec.hpp"
#include "core/transport/mask_keys.hpp"

namespace hawser::transport {

// What waits to be written: masked frames, one behind another, so that one TLS record carries as many as fit. A ping or
// a pong goes in between two frames. Owned by one WebSocket; one thread; no sockets.
class OutputQueue {
 public:
  // One message, in frames of at most kFrameBytesMax.
  void message(Opcode opcode, std::string_view head, std::string_view body);
  // Behind everything that was queued. Nothing is taken after it.
  void close(std::string_view payload);
  // At most one of each waits; a newer one takes its place (RFC 6455 §5.5.3: only the newest ping need be answered).
  void ping(std::string_view payload);
  void pong(std::string_view payload);
  // Drops the frames of which nothing was offered yet: for a peer that will not read them.
  void drop_unsent();

  // The next bytes to write, at most kRecordBytes; empty when nothing waits. TLS demands that a write which had to wait
  // is repeated with the same bytes: the answer stays the same until consume().
  std::string_view offer();
  void consume(std::size_t bytes);

  bool empty() const { return bytes() == 0; }
  std::size_t bytes() const { return (end_ - begin_) + waiting_control_bytes() + control_.size(); }

 private:
  void append_frame(Opcode opcode, bool final, std::string_view head, std::string_view body);
  char* grow(std::size_t bytes);
  void make_room(std::size_t bytes);
  std::string control_frame(Opcode opcode, std::string_view payload);
  std::size_t waiting_control_bytes() const;
  bool take_control();
  std::size_t bytes_to_next_boundary() const;

  MaskKeys keys_;
  std::unique_ptr<char[]> store_;  // not a std::string: nothing is zeroed that is written over anyway
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0, end_ = 0;
  std::deque<std::size_t> frames_;          // what is left of each frame in the store
  bool first_frame_begun_ = false;          // some of frames_.front() is written
  std::size_t offered_ = 0;                 // bytes of the store that the last offer() named
  std::string control_;                     // a ping or pong on its way, and what is left of it
  std::optional<std::string> ping_, pong_;  // encoded
  bool closed_ = false;
};

}  // namespace hawser::transport
