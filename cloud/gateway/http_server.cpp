#include "cloud/gateway/http_server.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>

#include "cloud/gateway/beast_download.hpp"
#include "cloud/gateway/beast_http.hpp"
#include "cloud/gateway/beast_upload.hpp"
#include "cloud/gateway/process.hpp"

// GCC 12 takes Boost's own operator new and delete of a coroutine's frame for strangers when it inlines only one of
// them.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
#endif

namespace hawser::cloud {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace ssl = asio::ssl;
using asio::ip::tcp;
using beast::error_code;

namespace {

constexpr auto kPreAuthLimit = std::chrono::seconds(10);
constexpr std::uint32_t kHeaderBytesMax = 16 << 10;
constexpr std::uint64_t kBodyBytesMax = 64 << 10;
constexpr int kRequestsPerConnection = 100;
constexpr auto kLingerLimit = std::chrono::seconds(2);
constexpr std::size_t kLingerBytesMax = 1 << 20;
constexpr auto kAcceptPause = std::chrono::milliseconds(100);
constexpr int kRetryAfterS = 5;
constexpr std::size_t kSubscriberBytes = 8;  // of an IPv6 address

auto into(error_code& error) { return asio::redirect_error(asio::use_awaitable, error); }

bool is_upload(const HttpRequest& request) {
  return request.method() == http::verb::put &&
         request.target().starts_with(beast::string_view(Upload::kPrefix.data(), Upload::kPrefix.size()));
}

}  // namespace

void spawn(asio::io_context& context, asio::awaitable<void> coroutine) {
  asio::co_spawn(context, std::move(coroutine), [](std::exception_ptr failure) {
    if (!failure) return;
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& error) {
      spdlog::error("a connection ended: {}", error.what());
    }
  });
}

std::shared_ptr<ssl::context> certificate_of(const Settings& settings) {
  auto tls = std::make_shared<ssl::context>(ssl::context::tls_server);
  tls->set_options(ssl::context::default_workarounds | ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1);
  SSL_CTX_set_options(tls->native_handle(), SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(tls->native_handle(), SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_id_context(tls->native_handle(), reinterpret_cast<const unsigned char*>("hawser"), 6);
  tls->use_certificate_chain_file(settings.certificate_file);
  tls->use_private_key_file(settings.key_file, ssl::context::pem);
  return tls;
}

std::string source_of(const asio::ip::address& address) {
  if (!address.is_v6()) return address.to_string();
  auto bytes = address.to_v6().to_bytes();
  if (address.to_v6().is_v4_mapped() || address.is_loopback()) return address.to_string();
  std::fill(bytes.begin() + kSubscriberBytes, bytes.end(), std::uint8_t{0});
  return asio::ip::address_v6(bytes).to_string() + "/64";
}

int HttpServer::listen(int port, bool authentication_port) {
  auto acceptor = open(port);
  const int chosen = acceptor.local_endpoint().port();
  spawn(context_, accept(std::move(acceptor), authentication_port));
  return chosen;
}

tcp::acceptor HttpServer::open(int port) {
  const tcp::endpoint endpoint(asio::ip::make_address(settings_.listen), static_cast<unsigned short>(port));
  try {
    tcp::acceptor acceptor(context_);
    if (const auto passed = listener_from_service_manager(port)) {
      acceptor.assign(endpoint.protocol(), *passed);
      return acceptor;
    }
    acceptor.open(endpoint.protocol());
    acceptor.set_option(tcp::acceptor::reuse_address(true));
    acceptor.bind(endpoint);
    acceptor.listen(asio::socket_base::max_listen_connections);
    return acceptor;
  } catch (const std::exception& error) {
    throw std::runtime_error("port " + std::to_string(port) + " on " + settings_.listen + ": " + error.what());
  }
}

// Counts a connection against the limits while it lives.
struct HttpServer::Slot {
  Slot(HttpServer& owner, std::string peer) : server(owner), source(std::move(peer)) {
    ++server.connections_;
    ++server.by_source_[source];
  }
  ~Slot() {
    --server.connections_;
    if (--server.by_source_[source] == 0) server.by_source_.erase(source);
  }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;
  bool fits() const {
    return server.connections_ <= server.settings_.connections &&
           server.by_source_[source] <= server.settings_.connections_per_address;
  }
  HttpServer& server;
  std::string source;
};

asio::awaitable<void> HttpServer::accept(tcp::acceptor acceptor, bool authentication_port) {
  for (;;) {
    error_code error;
    tcp::socket socket(context_);
    co_await acceptor.async_accept(socket, into(error));
    if (error) {  // out of descriptors, for example: without a pause this would spin
      spdlog::warn("accept: {}", error.message());
      asio::steady_timer pause(context_, kAcceptPause);
      co_await pause.async_wait(into(error));
      continue;
    }
    const auto endpoint = socket.remote_endpoint(error);
    if (error) continue;
    const auto from = endpoint.address();
    spawn(context_, serve(std::move(socket), from.to_string(), source_of(from), authentication_port));
  }
}

asio::awaitable<void> HttpServer::serve(tcp::socket socket, std::string address, std::string source,
                                        bool authentication_port) {
  const Slot slot(*this, std::move(source));
  if (!slot.fits()) co_return;  // closed before TLS: a handshake is what such a peer would make us pay
  error_code error;
  socket.set_option(tcp::no_delay(true), error);
  const auto tls = tls_;  // a reload makes another for those who come later
  TlsStream stream(std::move(socket), *tls);
  beast::get_lowest_layer(stream).expires_after(kPreAuthLimit);
  co_await stream.async_handshake(ssl::stream_base::server, into(error));
  if (error) {
    spdlog::debug("{}: TLS: {}", address, error.message());
    co_return;
  }
  beast::flat_buffer buffer;
  for (int count = 0; count < kRequestsPerConnection; ++count) {
    http::request_parser<http::string_body> parser;
    parser.header_limit(kHeaderBytesMax);
    parser.body_limit(Upload::kBytesMax);
    if (count > 0) beast::get_lowest_layer(stream).expires_after(kPreAuthLimit);
    co_await http::async_read_header(stream, buffer, parser, into(error));
    const bool uploading = !authentication_port && is_upload(parser.get());
    if (!error && uploading) {
      co_await take_upload(stream, buffer, std::move(parser));
      co_return;
    }
    if (!error && parser.content_length().value_or(0) > kBodyBytesMax) error = http::error::body_limit;
    parser.body_limit(kBodyBytesMax);
    if (!error) co_await http::async_read(stream, buffer, parser, into(error));
    if (error) {
      co_await answer_fault(stream, error, uploading);
      co_return;
    }
    HttpRequest request = parser.release();
    const Request asked = plain(request, address);
    if (!authentication_port && asked.method == "GET" && asked.path.starts_with(kPluginPrefix)) {
      co_await give_plugin(stream, asked.path.substr(kPluginPrefix.size()));
      co_return;
    }
    Response response;
    if (!authentication_port && asked.path.starts_with("/hawser/")) {
      Upgrade upgrade = guarded_upgrade(asked);
      if (!upgrade.refused) {
        const auto peer = std::make_shared<BeastPeer<TlsStream>>(std::move(stream), address);
        co_await peer->run(std::move(request), std::move(upgrade));
        co_return;
      }
      response = *upgrade.refused;
    } else {
      response = guarded_handle(asked, authentication_port);
    }
    const bool keep = request.keep_alive();
    auto answer = framed(response, request.version(), keep);
    co_await http::async_write(stream, answer, into(error));
    if (error || !keep) break;
  }
  co_await stream.async_shutdown(into(error));
}

asio::awaitable<void> HttpServer::take_upload(TlsStream& stream, beast::flat_buffer& buffer, Parser&& parser) {
  const auto target = parser.get().target().substr(Upload::kPrefix.size());
  auto upload = guarded_begin_upload({target.data(), target.size()});
  Response response;
  if (upload) {
    response = co_await receive_upload(stream, buffer, std::move(parser), std::move(*upload));
  } else {
    const bool unknown = upload.error().code == "not_found";
    response = refusal(unknown ? 404 : 503, upload.error().code, upload.error().message, unknown ? 0 : kRetryAfterS);
  }
  co_await answer_and_linger(stream, response);
}

asio::awaitable<void> HttpServer::give_plugin(TlsStream& stream, std::string token) {
  const auto file = guarded_plugin_bundle(token);
  std::optional<Response> instead;
  if (file) {
    instead = co_await send_file(stream, *file);
  } else {
    const bool unknown = file.error().code == "not_found";
    instead = refusal(unknown ? 404 : 503, file.error().code, file.error().message, unknown ? 0 : kRetryAfterS);
  }
  if (instead) co_await answer_and_linger(stream, *instead);
}

// The request could not be read: said where there is somebody to read it, and lingered so that the answer arrives.
asio::awaitable<void> HttpServer::answer_fault(TlsStream& stream, error_code error, bool uploading) {
  Response response;
  if (error == http::error::body_limit) {
    response =
        refusal(413, "body_too_large", uploading ? "the body is larger than 64 MiB" : "the body is larger than 64 KiB");
  } else if (error == http::error::end_of_stream || error == asio::error::eof || error == beast::error::timeout ||
             error.category() == asio::error::get_ssl_category() || error == asio::ssl::error::stream_truncated ||
             error.category() == asio::error::get_system_category()) {
    co_return;
  } else {
    response = refusal(400, "bad_request", "this is no HTTP/1.1 request within the limits");
  }
  co_await answer_and_linger(stream, response);
}

// What is still under way is read and dropped for a while: closing over it would take the answer with it.
asio::awaitable<void> HttpServer::answer_and_linger(TlsStream& stream, Response response) {
  error_code error;
  beast::get_lowest_layer(stream).expires_after(kLingerLimit);
  auto answer = framed(response, 11, false);
  co_await http::async_write(stream, answer, into(error));
  std::array<char, 4096> scratch;
  for (std::size_t read = 0; !error && read < kLingerBytesMax;)
    read += co_await stream.async_read_some(asio::buffer(scratch), into(error));
}

Response HttpServer::guarded_handle(const Request& request, bool authentication_port) {
  try {
    return hub_.handle(request, authentication_port);
  } catch (const std::exception& error) {
    spdlog::error("{} {}: {}", request.method, request.path, error.what());
    return refusal(503, "unavailable", "the store does not answer", kRetryAfterS);
  }
}

Upgrade HttpServer::guarded_upgrade(const Request& request) {
  try {
    return hub_.upgrade(request);
  } catch (const std::exception& error) {
    spdlog::error("{} {}: {}", request.method, request.path, error.what());
    return {refusal(503, "unavailable", "the store does not answer", kRetryAfterS), {}, {}};
  }
}

Result<Upload> HttpServer::guarded_begin_upload(const std::string& token) {
  try {
    return hub_.begin_upload(token);
  } catch (const std::exception& error) {
    spdlog::error("an upload: {}", error.what());
    return Error{"unavailable", "the store does not answer"};
  }
}

Result<std::string> HttpServer::guarded_plugin_bundle(const std::string& token) {
  try {
    return hub_.plugin_bundle(token);
  } catch (const std::exception& error) {
    spdlog::error("a plugin: {}", error.what());
    return Error{"unavailable", "the store does not answer"};
  }
}

}  // namespace hawser::cloud
