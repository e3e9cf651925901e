#include "cloud/gateway/beast_peer.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace hawser::cloud {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = beast::websocket;
using beast::error_code;

namespace {
constexpr std::size_t kBufferKept = 64 << 10;  // more is given back after a large message
constexpr int kHangUp = 4008;
constexpr std::size_t kReasonBytesMax = 123;  // of a Close, RFC 6455 §5.5

// As much of UTF-8 as a Close holds, without half a character.
std::string_view fitting(std::string_view reason) {
  if (reason.size() <= kReasonBytesMax) return reason;
  std::size_t size = kReasonBytesMax;
  while (size > 0 && (static_cast<unsigned char>(reason[size]) & 0xc0) == 0x80) --size;
  return reason.substr(0, size);
}

bool is_header_value(std::string_view value) {
  return std::all_of(value.begin(), value.end(), [](char c) { return c >= ' ' && c <= '~'; });
}

std::string authority_of(const VendorMicroservice& to) {
  const bool v6 = to.host.find(':') != to.host.npos;
  return (v6 ? "[" + to.host + "]" : to.host) + ":" + std::to_string(to.port);
}

}  // namespace

template <typename Stream>
BeastPeer<Stream>::BeastPeer(Stream stream, std::string address)
    : stream_(std::move(stream)),
      address_(std::move(address)),
      wake_(stream_.get_executor()),
      write_deadline_(stream_.get_executor()),
      last_inbound_ms_(Now::real().mono) {}

template <typename Stream>
void BeastPeer<Stream>::set_options(bool ping) {
  websocket::stream_base::timeout limits{};
  limits.handshake_timeout = std::chrono::seconds(kHandshakeSeconds);
  // Of a device the conversation knows the intervals.
  limits.idle_timeout = ping ? std::chrono::seconds(kIdleSeconds) : websocket::stream_base::none();
  limits.keep_alive_pings = ping;
  beast::get_lowest_layer(stream_).expires_never();
  stream_.set_option(limits);
  stream_.auto_fragment(true);
  stream_.write_buffer_bytes(kFrameBytesMax);
  stream_.read_message_max(0);  // read_message() holds the limit, so that 1009 carries its reason
  stream_.control_callback([this](websocket::frame_type, beast::string_view) { last_inbound_ms_ = Now::real().mono; });
}

template <typename Stream>
asio::awaitable<void> BeastPeer<Stream>::run(HttpRequest request, Upgrade upgrade) {
  const auto self = this->shared_from_this();
  set_options(false);
  stream_.set_option(
      websocket::stream_base::decorator([chosen = upgrade.subprotocol](websocket::response_type& response) {
        response.set(beast::http::field::sec_websocket_protocol, chosen);
      }));
  error_code error;
  co_await stream_.async_accept(request, asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return;
  const auto conversation = upgrade.begin(*this);
  co_await talk(*conversation);
}

template <typename Stream>
asio::awaitable<void> BeastPeer<Stream>::call(DialOrder order, std::shared_ptr<Conversation> conversation) {
  const auto self = this->shared_from_this();
  const std::string problem = co_await open(order);
  if (problem.empty()) {
    co_await talk(*conversation);
  } else {
    conversation->on_closed(static_cast<int>(websocket::close_code::abnormal), problem);
  }
}

template <typename Stream>
asio::awaitable<std::string> BeastPeer<Stream>::open(const DialOrder& order) {
  const auto fault = [](const char* step, const error_code& error) {
    return std::string(step) + ": " + error.message();
  };
  for (const auto& [name, value] : order.headers)
    if (!is_header_value(value)) co_return name + " would hold what no header may";
  error_code error;
  auto& socket = beast::get_lowest_layer(stream_);
  socket.expires_after(std::chrono::seconds(kHandshakeSeconds));
  // An address (settings): a resolver would make all wait for one name, and for longer than any limit of ours.
  const asio::ip::tcp::endpoint to(asio::ip::make_address(order.to.host), static_cast<unsigned short>(order.to.port));
  co_await socket.async_connect(to, asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return fault("connect", error);
  if (given_up_) co_return "connect: more was to be sent meanwhile than is kept";
  set_options(true);
  stream_.set_option(websocket::stream_base::decorator([&order](websocket::request_type& request) {
    request.set(beast::http::field::sec_websocket_protocol, order.subprotocol);
    for (const auto& [name, value] : order.headers) request.set(name, value);
  }));
  websocket::response_type answer;
  co_await stream_.async_handshake(answer, authority_of(order.to), order.to.path,
                                   asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return fault("upgrade", error) + ", HTTP " + std::to_string(answer.result_int());
  if (answer[beast::http::field::sec_websocket_protocol] != order.subprotocol)
    co_return "upgrade: it does not speak " + order.subprotocol;
  if (given_up_) co_return "upgrade: more was to be sent meanwhile than is kept";
  co_return std::string();
}

template <typename Stream>
asio::awaitable<void> BeastPeer<Stream>::talk(Conversation& conversation) {
  asio::co_spawn(
      stream_.get_executor(), [self = this->shared_from_this()] { return self->write_until_end(); }, asio::detached);
  try {
    conversation.on_open();
    co_await read_until_end(conversation);
  } catch (const std::exception& fault) {
    spdlog::error("{}: connection ended: {}", address_, fault.what());
    close(1011, "server_error");
  }
  reading_ended_ = true;
  wake_.cancel();
  const auto& end = stream_.reason();
  try {
    conversation.on_closed(end.code == websocket::close_code::none ? 1006 : static_cast<int>(end.code),
                           {end.reason.data(), end.reason.size()});
  } catch (const std::exception& fault) {
    spdlog::error("{}: its end could not be noted: {}", address_, fault.what());
  }
}

template <typename Stream>
asio::awaitable<void> BeastPeer<Stream>::read_until_end(Conversation& conversation) {
  const std::size_t most = conversation.message_bytes_max();
  while (co_await read_message(most)) {
    const std::int64_t began = Now::real().mono;
    deliver(conversation);
    co_await leave_room(conversation, began);
  }
}

template <typename Stream>
asio::awaitable<void> BeastPeer<Stream>::leave_room(const Conversation& conversation, std::int64_t began_ms) {
  const std::int64_t took = Now::real().mono - began_ms;
  if (took >= kLongMessageMs) co_await pause(took);
  while (!closing_ && !given_up_ && conversation.is_behind()) co_await pause(kBehindMs);
}

template <typename Stream>
asio::awaitable<void> BeastPeer<Stream>::pause(std::int64_t ms) {
  if (closing_ || given_up_) co_return;
  error_code ignored;
  asio::steady_timer timer(stream_.get_executor(), std::chrono::milliseconds(ms));
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
}

template <typename Stream>
asio::awaitable<bool> BeastPeer<Stream>::read_message(std::size_t most) {
  buffer_.consume(buffer_.size());
  if (buffer_.capacity() > kBufferKept) buffer_ = beast::flat_buffer();
  do {
    error_code error;
    // One byte more than allowed is enough to know.
    const std::size_t room = std::min(most + 1 - buffer_.size(), kFrameBytesMax);
    co_await stream_.async_read_some(buffer_, room, asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return false;
    last_inbound_ms_ = Now::real().mono;
    if (buffer_.size() > most) {
      close(1009, "too_big");
      buffer_.consume(buffer_.size());
      for (;;) {  // the rest is read and dropped until the peer has seen the close frame, or the deadline ends it
        co_await stream_.async_read_some(buffer_, kFrameBytesMax, asio::redirect_error(asio::use_awaitable, error));
        if (error) co_return false;
        buffer_.consume(buffer_.size());
      }
    }
  } while (!stream_.is_message_done());
  co_return true;
}

template <typename Stream>
void BeastPeer<Stream>::deliver(Conversation& conversation) {
  if (closing_) return;
  const std::string_view bytes(static_cast<const char*>(buffer_.data().data()), buffer_.size());
  try {
    stream_.got_text() ? conversation.on_text(bytes) : conversation.on_binary(bytes);
  } catch (const std::exception& fault) {
    spdlog::error("{}: a message could not be handled: {}", address_, fault.what());
    close(1011, "server_error");
  }
}

template <typename Stream>
void BeastPeer<Stream>::enqueue(std::string bytes, bool text) {
  if (closing_ || given_up_) return;
  queue_bytes_ += bytes.size();
  queue_.push_back({std::move(bytes), text});
  if (queue_bytes_ > kQueueBytesMax || queue_.size() > kQueueMessagesMax) {
    spdlog::warn("{}: does not read what is sent to it; its connection ends", address_);
    return give_up();
  }
  wake_.cancel();
}

template <typename Stream>
void BeastPeer<Stream>::close(int code, std::string_view reason) {
  if (closing_ || given_up_) return;
  const std::string_view words = fitting(reason);
  closing_ =
      websocket::close_reason(static_cast<websocket::close_code>(code), beast::string_view(words.data(), words.size()));
  if (code == kHangUp) limit_write(kSilentCloseSeconds);  // also of what is being written, which may never get through
  wake_.cancel();
}

template <typename Stream>
void BeastPeer<Stream>::limit_write(int seconds) {
  write_deadline_.expires_after(std::chrono::seconds(seconds));
  write_deadline_.async_wait([self = this->shared_from_this()](error_code cancelled) {
    if (!cancelled) self->give_up();
  });
}

template <typename Stream>
void BeastPeer<Stream>::give_up() {
  given_up_ = true;
  queue_.clear();
  queue_bytes_ = 0;
  error_code ignored;
  beast::get_lowest_layer(stream_).socket().close(ignored);
  wake_.cancel();
}

template <typename Stream>
asio::awaitable<void> BeastPeer<Stream>::write_until_end() {
  const auto self = this->shared_from_this();
  while (!given_up_ && !(reading_ended_ && !closing_)) {
    if (!queue_.empty()) {
      co_await write_one();
    } else if (closing_) {
      error_code error;
      limit_write(closing_->code == kHangUp ? kSilentCloseSeconds : kHandshakeSeconds);
      if (!reading_ended_) co_await stream_.async_close(*closing_, asio::redirect_error(asio::use_awaitable, error));
      write_deadline_.cancel();
      break;
    } else {
      error_code woken;
      wake_.expires_at(asio::steady_timer::time_point::max());
      co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, woken));
    }
  }
}

template <typename Stream>
asio::awaitable<void> BeastPeer<Stream>::write_one() {
  const auto self = this->shared_from_this();
  const Message message = std::move(queue_.front());
  queue_.pop_front();
  queue_bytes_ -= message.bytes.size();
  limit_write(closing_ && closing_->code == kHangUp ? kSilentCloseSeconds : kWriteSeconds);
  error_code error;
  stream_.text(message.text);
  co_await stream_.async_write(asio::buffer(message.bytes), asio::redirect_error(asio::use_awaitable, error));
  write_deadline_.cancel();
  if (error) give_up();
}

template class BeastPeer<TlsStream>;
template class BeastPeer<beast::tcp_stream>;

}  // namespace hawser::cloud
