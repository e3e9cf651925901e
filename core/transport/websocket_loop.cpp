#include "core/transport/websocket_loop.hpp"

#include <algorithm>
#include <array>

#include "core/base/encoding.hpp"

namespace hawser::transport {

WebSocketLoop::WebSocketLoop(std::unique_ptr<Stream> stream, Waker& waker, std::size_t message_bytes_max,
                             std::string early, WebSocketLimits limits)
    : stream_(std::move(stream)),
      waker_(waker),
      limits_(limits),
      decoder_(message_bytes_max),
      early_(std::move(early)),
      last_inbound_(Clock::now()) {}

void WebSocketLoop::send_text(std::string_view text) {
  if (!close_due_) output_.message(Opcode::Text, text, {});
}

void WebSocketLoop::send_binary(std::string_view head, std::string_view body) {
  if (!close_due_) output_.message(Opcode::Binary, head, body);
}

void WebSocketLoop::ping(std::string_view payload) {
  if (!close_due_) output_.ping(payload);
}

void WebSocketLoop::close(std::uint16_t code, std::string_view reason) {
  if (close_due_ || over_) return;
  begin_closing({code, std::string(reason), false, reason.empty() ? close_name(code) : std::string(reason), ""});
  output_.close(close_payload(code, reason));
}

WebSocket::Turn WebSocketLoop::turn(Listener& listener, TimePoint until) {
  listener_ = &listener;
  const bool was_full = !writable();
  const bool heard = !over_ && move_bytes();
  const bool has_room_again = was_full && writable();  // the caller has more, and nothing else would wake us
  if (!over_ && !heard && !has_room_again) {
    wait(until);
    move_bytes();
  }
  listener_ = nullptr;
  return over_ ? Turn::Closed : Turn::Open;
}

// One pass over both directions. True when the peer sent something: the caller may want to act on it before it waits.
bool WebSocketLoop::move_bytes() {
  write_some();
  const bool heard = !over_ && read_some();
  if (!over_) write_some();  // answers, and what the listener sent
  if (!over_) shut_down_when_done();
  if (!over_) check_limits();
  return heard;
}

void WebSocketLoop::write_some() {
  write_stopped_by_ = Stream::Io::Done;
  while (!output_.empty()) {
    const std::string_view bytes = output_.offer();
    std::size_t moved = 0;
    const auto io = stream_->write(bytes, moved);
    if (!io) return broke(io.error());
    if (*io == Stream::Io::Closed) return broke({"peer_closed", "the connection ended"});
    if (*io != Stream::Io::Done) {
      write_stopped_by_ = *io;
      if (!write_due_) write_due_ = Clock::now() + limits_.write;
      return;
    }
    output_.consume(moved);
    write_due_.reset();
  }
  write_due_.reset();
}

bool WebSocketLoop::read_some() {
  bool heard = false;
  if (!early_.empty()) {
    feed(std::exchange(early_, {}));
    heard = true;
  }
  std::array<char, kRecordBytes> buffer;
  for (int k = 0; k < kReadsPerTurn && !over_; ++k) {
    // A peer that makes us send more than it takes is not read from until it has taken some.
    if (!writable()) break;
    std::size_t moved = 0;
    const auto io = stream_->read(buffer, moved);
    if (!io) {
      broke(io.error());
      break;
    }
    read_stopped_by_ = *io;
    if (*io == Stream::Io::Closed) broke({"peer_closed", "the peer ended the connection"});
    if (*io != Stream::Io::Done) break;
    heard = true;
    last_inbound_ = Clock::now();
    feed({buffer.data(), moved});
  }
  note_frame_time();
  return heard;
}

void WebSocketLoop::feed(std::string_view bytes) {
  if (peer_done_) return;
  decoder_.feed(bytes, *this);
  if (const auto& fault = decoder_.fault()) fail(fault->code, close_name(fault->code), fault->words);
}

void WebSocketLoop::wait(TimePoint until) {
  short events = 0;
  if (writable() || write_stopped_by_ == Stream::Io::WantRead) events |= POLLIN;
  if (write_stopped_by_ == Stream::Io::WantWrite || read_stopped_by_ == Stream::Io::WantWrite) events |= POLLOUT;
  pollfd ready{stream_->descriptor(), events, 0};
  waker_.wait(std::span(&ready, 1), std::min(until, next_limit()));
}

TimePoint WebSocketLoop::next_limit() const {
  TimePoint next = TimePoint::max();
  for (const auto& due : {write_due_, frame_due_, close_due_}) next = std::min(next, due.value_or(next));
  return next;
}

void WebSocketLoop::check_limits() {
  const TimePoint now = Clock::now();
  if (close_due_ && now >= *close_due_) {
    if (closing_.detail.empty()) closing_.detail = "the peer did not end the connection in time";
    return finish();
  }
  if (write_due_ && now >= *write_due_ && !close_due_) {
    closing_ = {1006, "", false, "hang_up", "the peer took none of the waiting output in time"};
    return finish();
  }
  if (frame_due_ && now >= *frame_due_ && !close_due_) fail(4008, "hang_up", "a frame took too long to arrive");
}

// The limit runs from the first byte of each frame, however slowly the others trickle in.
void WebSocketLoop::note_frame_time() {
  if (!decoder_.inside_frame() || close_due_) {
    frame_due_.reset();
  } else if (!frame_due_ || timed_frame_ != decoder_.frames_begun()) {
    frame_due_ = Clock::now() + limits_.frame;
    timed_frame_ = decoder_.frames_begun();
  }
}

void WebSocketLoop::on_message(Opcode opcode, std::string_view data) {
  if (opcode == Opcode::Text)
    listener_->on_text(data);
  else
    listener_->on_binary(data);
}

void WebSocketLoop::on_control(Opcode opcode, std::string_view payload) {
  if (opcode == Opcode::Pong) return listener_->on_pong(payload);
  if (opcode == Opcode::Close) return on_close(payload);
  if (!close_due_) output_.pong(payload);
}

void WebSocketLoop::on_close(std::string_view payload) {
  peer_done_ = true;
  if (close_due_) return;  // the answer to ours
  Closing why{1005, "", true, "peer_closed", "a Close without a code"};
  if (!payload.empty()) {
    why.code =
        static_cast<std::uint16_t>(static_cast<std::uint8_t>(payload[0]) << 8 | static_cast<std::uint8_t>(payload[1]));
    why.reason = printable(payload.substr(2), 123);
    why.error = close_name(why.code);
    // Two reasons share this code.
    if (why.code == 4008 && why.reason == "keepalive_expired") why.error = why.reason;
    why.detail.clear();
  }
  begin_closing(std::move(why));
  output_.drop_unsent();
  output_.close(payload.substr(0, 2));
}

void WebSocketLoop::fail(std::uint16_t code, const std::string& error, const std::string& words) {
  peer_done_ = true;
  if (close_due_) return;
  begin_closing({code, error, false, error, words});
  output_.drop_unsent();
  output_.close(close_payload(code, error));
}

void WebSocketLoop::begin_closing(Closing why) {
  closing_ = std::move(why);
  close_due_ = Clock::now() + limits_.close;
  frame_due_.reset();
}

// Both sides are done: our half of TLS is ended, and the peer, whose part it is (RFC 6455 §7.1.1), ends TCP.
void WebSocketLoop::shut_down_when_done() {
  if (!peer_done_ || shut_down_ || !output_.empty()) return;
  stream_->shutdown();
  shut_down_ = true;
}

void WebSocketLoop::broke(const Error& error) {
  finish();
  if (!close_due_) {
    closing_ = {1006, "", true, error.code, error.message};
  } else if (!peer_done_) {
    closing_.detail = error.message + " before its Close";
  }
}

}  // namespace hawser::transport
