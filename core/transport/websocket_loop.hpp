#pragma once

#include <memory>
#include <optional>

#include "core/transport/frame_codec.hpp"
#include "core/transport/output_queue.hpp"
#include "core/transport/websocket.hpp"

namespace hawser::transport {

// How long one WebSocket waits; tests wait less.
struct WebSocketLimits {
  milliseconds close = kCloseLimit;
  milliseconds frame = kFrameLimit;
  milliseconds write = kWriteLimit;
};

// The WebSocket that upgrade() makes: the codec and the output queue around one Stream.
class WebSocketLoop final : public WebSocket, private FrameDecoder::Sink {
 public:
  // `early`: bytes that came behind the 101. They are told in the first turn.
  WebSocketLoop(std::unique_ptr<Stream> stream, Waker& waker, std::size_t message_bytes_max, std::string early = {},
                WebSocketLimits limits = {});

  void send_text(std::string_view text) override;
  void send_binary(std::string_view head, std::string_view body) override;
  void ping(std::string_view payload) override;
  void close(std::uint16_t code, std::string_view reason) override;
  bool writable() const override { return output_.bytes() < kOutputHighWater; }
  std::size_t queued_bytes() const override { return output_.bytes(); }
  TimePoint last_inbound() const override { return last_inbound_; }
  Turn turn(Listener& listener, TimePoint until) override;
  const Closing& closing() const override { return closing_; }
  Stream& stream() override { return *stream_; }

 private:
  bool move_bytes();
  void write_some();
  bool read_some();
  void feed(std::string_view bytes);
  void wait(TimePoint until);
  void check_limits();
  TimePoint next_limit() const;
  void note_frame_time();

  void on_message(Opcode opcode, std::string_view data) override;
  void on_control(Opcode opcode, std::string_view payload) override;
  void on_close(std::string_view payload);
  void fail(std::uint16_t code, const std::string& error, const std::string& words);
  void begin_closing(Closing why);
  void shut_down_when_done();
  void broke(const Error& error);
  void finish() { over_ = true; }

  std::unique_ptr<Stream> stream_;
  Waker& waker_;
  const WebSocketLimits limits_;
  FrameDecoder decoder_;
  OutputQueue output_;
  std::string early_;
  Listener* listener_ = nullptr;  // only while turn() runs

  // Which way the TLS layer must move before it goes on.
  Stream::Io write_stopped_by_ = Stream::Io::Done;
  Stream::Io read_stopped_by_ = Stream::Io::WantRead;

  TimePoint last_inbound_;
  std::optional<TimePoint> write_due_;  // the peer must have taken some output by then
  std::optional<TimePoint> frame_due_;  // the frame under way must be complete by then
  std::uint64_t timed_frame_ = 0;
  std::optional<TimePoint> close_due_;  // set once the end has begun

  Closing closing_;
  bool peer_done_ = false;  // its Close came, or nothing more is taken from it
  bool shut_down_ = false;  // close_notify is out
  bool over_ = false;
};

}  // namespace hawser::transport
