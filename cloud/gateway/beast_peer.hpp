#pragma once

// clang-format off
#include <utility>  // first: Boost 1.74's awaitable.hpp uses std::exchange without it
// clang-format on

#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/beast/websocket/ssl.hpp>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "cloud/gateway/hub.hpp"

namespace hawser::cloud {

using TlsStream = boost::beast::ssl_stream<boost::beast::tcp_stream>;
using HttpRequest = boost::beast::http::request<boost::beast::http::string_body>;

// A WebSocket over Boost.Beast. Shared by its two coroutines, both on the gateway's thread: one reads and calls the
// conversation, one writes what is queued. `Stream`: TlsStream for devices, boost::beast::tcp_stream for microservices.
template <typename Stream>
class BeastPeer final : public Peer, public std::enable_shared_from_this<BeastPeer<Stream>> {
 public:
  static constexpr std::size_t kQueueBytesMax = 24 << 20;  // three times what a grant allows in flight
  static constexpr std::size_t kQueueMessagesMax = 16'384;
  static constexpr std::size_t kMessageCost = 256;  // of a message that waits, besides its bytes
  static constexpr std::size_t kFrameBytesMax = 64 << 10;
  static constexpr int kWriteSeconds = 30;
  static constexpr int kHandshakeSeconds = 5;    // opening, and closing
  static constexpr int kIdleSeconds = 60;        // of one that we called: pinged at half of it
  static constexpr int kSilentCloseSeconds = 1;  // closing on a peer that has been silent for too long
  // A message that took longer makes its connection wait as long again: one peer gets half of the thread at most.
  static constexpr int kLongMessageMs = 20;
  static constexpr int kBehindMs = 20;  // then it is looked again whether the conversation is still behind

  BeastPeer(Stream stream, std::string address);

  // Accepts the upgrade and talks until the end.
  boost::asio::awaitable<void> run(HttpRequest request, Upgrade upgrade);
  // Connects, asks for an upgrade and talks until the end.
  boost::asio::awaitable<void> call(DialOrder order, std::shared_ptr<Conversation> conversation);

  void send_text(std::string text) override { enqueue(std::move(text), true); }
  void send_binary(std::string bytes) override { enqueue(std::move(bytes), false); }
  void close(int code, std::string_view reason) override;
  std::size_t queued_bytes() const override { return queue_bytes_ + kMessageCost * queue_.size(); }
  const std::string& address() const override { return address_; }
  std::int64_t last_inbound_ms() const override { return last_inbound_ms_; }

 private:
  struct Message {
    std::string bytes;
    bool text;
  };

  void set_options(bool ping);
  boost::asio::awaitable<std::string> open(const DialOrder& order);  // what went wrong, or nothing
  boost::asio::awaitable<void> talk(Conversation& conversation);
  boost::asio::awaitable<void> read_until_end(Conversation& conversation);
  boost::asio::awaitable<void> leave_room(const Conversation& conversation, std::int64_t began_ms);
  boost::asio::awaitable<void> pause(std::int64_t ms);
  boost::asio::awaitable<bool> read_message(std::size_t most);
  boost::asio::awaitable<void> write_until_end();
  boost::asio::awaitable<void> write_one();
  void deliver(Conversation& conversation);
  void enqueue(std::string bytes, bool text);
  void limit_write(int seconds);
  void give_up();  // at once, without a close frame

  boost::beast::websocket::stream<Stream> stream_;
  std::string address_;
  boost::beast::flat_buffer buffer_;
  boost::asio::steady_timer wake_;            // expires when there is something to write
  boost::asio::steady_timer write_deadline_;  // ends a peer that stopped reading
  std::deque<Message> queue_;
  std::size_t queue_bytes_ = 0;
  std::optional<boost::beast::websocket::close_reason> closing_;
  std::int64_t last_inbound_ms_ = 0;
  bool reading_ended_ = false;
  bool given_up_ = false;
};

}  // namespace hawser::cloud
