// clang-format off
#include <utility>  // first: Boost 1.74's awaitable.hpp uses std::exchange without it
// clang-format on

#include "cloud/gateway/server.hpp"

#include <spdlog/spdlog.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <unordered_map>

#include "cloud/gateway/beast_http.hpp"
#include "cloud/gateway/beast_peer.hpp"
#include "cloud/gateway/process.hpp"

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
constexpr auto kTick = std::chrono::seconds(1);
constexpr auto kStorePoll = std::chrono::milliseconds(200);
constexpr auto kAcceptPause = std::chrono::milliseconds(100);
constexpr auto kDrainFor = std::chrono::milliseconds(3000);
constexpr auto kLeaveFor = std::chrono::milliseconds(1200);

auto into(error_code& error) { return asio::redirect_error(asio::use_awaitable, error); }

// Owned by run_server; one thread.
class Server {
 public:
  Server(Settings settings, Store& store)
      : settings_(std::move(settings)),
        hub_(settings_, store, &Now::real, [this] { arm_commit(); }),
        tls_(ssl::context::tls_server),
        commit_timer_(context_),
        signals_(context_, SIGTERM, SIGINT) {
    load_certificate();
  }

  int run() {
    raise_descriptor_limit(settings_.connections);
    auto authentication = open(settings_.authentication_port);
    auto connection = open(settings_.connection_port);
    settings_.authentication_port = authentication.local_endpoint().port();
    settings_.connection_port = connection.local_endpoint().port();
    spawn(accept(std::move(authentication), true));
    spawn(accept(std::move(connection), false));
    spawn(every(kTick, [this] { hub_.tick(); }));
    spawn(every(kStorePoll, [this] { hub_.poll_store(); }));
    spawn(leave_on_signal());
    spdlog::info("listening: authentication port {}, connection port {}", settings_.authentication_port,
                 settings_.connection_port);
    notify("READY=1");
    context_.run();
    hub_.flush();
    return 0;
  }

 private:
  void spawn(asio::awaitable<void> coroutine) {
    asio::co_spawn(context_, std::move(coroutine), [](std::exception_ptr failure) {
      if (!failure) return;
      try {
        std::rethrow_exception(failure);
      } catch (const std::exception& error) {
        spdlog::error("a connection ended: {}", error.what());
      }
    });
  }

  void load_certificate() {
    tls_.set_options(ssl::context::default_workarounds | ssl::context::no_tlsv1 | ssl::context::no_tlsv1_1);
    SSL_CTX_set_options(tls_.native_handle(), SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(tls_.native_handle(), SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_id_context(tls_.native_handle(), reinterpret_cast<const unsigned char*>("hawser"), 6);
    tls_.use_certificate_chain_file(settings_.certificate_file);
    tls_.use_private_key_file(settings_.key_file, ssl::context::pem);
  }

  tcp::acceptor open(int port) {
    const tcp::endpoint endpoint(asio::ip::make_address(settings_.listen), static_cast<unsigned short>(port));
    try {
      tcp::acceptor acceptor(context_);
      acceptor.open(endpoint.protocol());
      acceptor.set_option(tcp::acceptor::reuse_address(true));
      acceptor.bind(endpoint);
      acceptor.listen(asio::socket_base::max_listen_connections);
      return acceptor;
    } catch (const std::exception& error) {
      throw std::runtime_error("port " + std::to_string(port) + " on " + settings_.listen + ": " + error.what());
    }
  }

  asio::awaitable<void> accept(tcp::acceptor acceptor, bool authentication_port) {
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
      spawn(serve(std::move(socket), endpoint.address().to_string(), authentication_port));
    }
  }

  // Counts a connection against the limits while it lives.
  struct Slot {
    Slot(Server& owner, const std::string& peer) : server(owner), address(peer) {
      ++server.connections_;
      ++server.by_address_[address];
    }
    ~Slot() {
      --server.connections_;
      if (--server.by_address_[address] == 0) server.by_address_.erase(address);
    }
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;
    bool fits() const {
      return server.connections_ <= server.settings_.connections &&
             server.by_address_[address] <= server.settings_.connections_per_address;
    }
    Server& server;
    std::string address;
  };

  asio::awaitable<void> serve(tcp::socket socket, std::string address, bool authentication_port) {
    const Slot slot(*this, address);
    if (!slot.fits()) co_return;  // closed before TLS: a handshake is what such a peer would make us pay
    error_code error;
    socket.set_option(tcp::no_delay(true), error);
    TlsStream stream(std::move(socket), tls_);
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
      parser.body_limit(kBodyBytesMax);
      if (count > 0) beast::get_lowest_layer(stream).expires_after(kPreAuthLimit);
      co_await http::async_read(stream, buffer, parser, into(error));
      if (error) {
        co_await answer_fault(stream, error);
        co_return;
      }
      HttpRequest request = parser.release();
      const Request asked = plain(request, address);
      Response response;
      if (!authentication_port && asked.path.starts_with("/hawser/")) {
        Upgrade upgrade = guarded_upgrade(asked);
        if (!upgrade.refused) {
          const auto peer = std::make_shared<BeastPeer>(std::move(stream), address);
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

  // The request could not be read: said where there is somebody to read it, and lingered so that the answer arrives.
  asio::awaitable<void> answer_fault(TlsStream& stream, error_code error) {
    Response response;
    if (error == http::error::body_limit) {
      response = refusal(413, "body_too_large", "the body is larger than 64 KiB");
    } else if (error == http::error::end_of_stream || error == asio::error::eof || error == beast::error::timeout ||
               error.category() == asio::error::get_ssl_category() || error == asio::ssl::error::stream_truncated ||
               error.category() == asio::error::get_system_category()) {
      co_return;
    } else {
      response = refusal(400, "bad_request", "this is no HTTP/1.1 request within the limits");
    }
    beast::get_lowest_layer(stream).expires_after(kLingerLimit);
    auto answer = framed(response, 11, false);
    co_await http::async_write(stream, answer, into(error));
    std::array<char, 4096> scratch;
    for (std::size_t read = 0; !error && read < kLingerBytesMax;)
      read += co_await stream.async_read_some(asio::buffer(scratch), into(error));
  }

  Response guarded_handle(const Request& request, bool authentication_port) {
    try {
      return hub_.handle(request, authentication_port);
    } catch (const std::exception& error) {
      spdlog::error("{} {}: {}", request.method, request.path, error.what());
      return refusal(503, "unavailable", "the store does not answer", 5);
    }
  }

  Upgrade guarded_upgrade(const Request& request) {
    try {
      return hub_.upgrade(request);
    } catch (const std::exception& error) {
      spdlog::error("{} {}: {}", request.method, request.path, error.what());
      return {refusal(503, "unavailable", "the store does not answer", 5), {}, {}};
    }
  }

  template <typename Duration>
  asio::awaitable<void> every(Duration period, std::function<void()> task) {
    asio::steady_timer timer(context_);
    for (;;) {
      error_code error;
      timer.expires_after(period);
      co_await timer.async_wait(into(error));
      try {
        task();
      } catch (const std::exception& failure) {
        spdlog::error("periodic work: {}", failure.what());
      }
    }
  }

  void arm_commit() {
    commit_timer_.expires_after(std::chrono::milliseconds(GroupCommit::kDelayMs));
    commit_timer_.async_wait([this](error_code cancelled) {
      if (!cancelled) hub_.flush();
    });
  }

  // Devices leave in a spread; who is left is closed; after 5 s at most the process ends.
  asio::awaitable<void> leave_on_signal() {
    error_code error;
    co_await signals_.async_wait(into(error));
    spdlog::info("going down: devices are asked to leave");
    notify("STOPPING=1");
    hub_.drain(1, 2);
    co_await until_idle(kDrainFor);
    hub_.close_all(1012, "restarting");
    co_await until_idle(kLeaveFor);
    spdlog::info("gone");
    context_.stop();
  }

  asio::awaitable<void> until_idle(std::chrono::milliseconds limit) {
    asio::steady_timer timer(context_);
    for (const auto end = std::chrono::steady_clock::now() + limit;
         !hub_.idle() && std::chrono::steady_clock::now() < end;) {
      error_code error;
      timer.expires_after(std::chrono::milliseconds(20));
      co_await timer.async_wait(into(error));
    }
  }

  Settings settings_;
  // Before the context: it is destroyed first, and with it the coroutines that stand on these.
  int connections_ = 0;
  std::unordered_map<std::string, int> by_address_;
  Hub hub_;
  ssl::context tls_;
  asio::io_context context_{1};
  asio::steady_timer commit_timer_;
  asio::signal_set signals_;
};

}  // namespace

int run_server(Settings settings, Store& store) {
  try {
    return Server(std::move(settings), store).run();
  } catch (const std::exception& error) {
    spdlog::error("cannot serve: {}", error.what());
    return 1;
  }
}

}  // namespace hawser::cloud
