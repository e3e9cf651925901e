#pragma once

// clang-format off
#include <utility>  // first: Boost 1.74's awaitable.hpp uses std::exchange without it
// clang-format on

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <memory>
#include <string>
#include <unordered_map>

#include "cloud/gateway/beast_peer.hpp"

namespace hawser::cloud {

// Runs a coroutine until it ends; what it throws is logged.
void spawn(boost::asio::io_context& context, boost::asio::awaitable<void> coroutine);

// The server's side of TLS. Throws when the files cannot be read or do not belong together.
std::shared_ptr<boost::asio::ssl::context> certificate_of(const Settings& settings);

// "192.0.2.1" for itself, and for IPv6 the /64 that one subscriber has to itself: whose connections are counted
// together.
std::string source_of(const boost::asio::ip::address& address);

// Accepts connections, counts them, and brings their requests to the hub. Owned by the server, on the context's thread;
// it outlives the context, whose coroutines stand on it.
class HttpServer {
 public:
  HttpServer(boost::asio::io_context& context, const Settings& settings, Hub& hub)
      : context_(context), settings_(settings), hub_(hub) {}

  // For those who come from now on. Before the first listen().
  void set_certificate(std::shared_ptr<boost::asio::ssl::context> tls) { tls_ = std::move(tls); }
  // Accepts from now on; returns the port, which the system chose where 0 was asked for. Throws.
  int listen(int port, bool authentication_port);

 private:
  using Tcp = boost::asio::ip::tcp;
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  template <typename T>
  using awaitable = boost::asio::awaitable<T>;
  struct Slot;

  Tcp::acceptor open(int port);
  awaitable<void> accept(Tcp::acceptor acceptor, bool authentication_port);
  awaitable<void> serve(Tcp::socket socket, std::string address, std::string source, bool authentication_port);
  awaitable<void> take_upload(TlsStream& stream, boost::beast::flat_buffer& buffer, Parser&& parser);
  awaitable<void> give_plugin(TlsStream& stream, std::string token);
  awaitable<void> answer_fault(TlsStream& stream, boost::beast::error_code error, bool uploading);
  awaitable<void> answer_and_linger(TlsStream& stream, Response response);
  Response guarded_handle(const Request& request, bool authentication_port);
  Upgrade guarded_upgrade(const Request& request);
  Result<Upload> guarded_begin_upload(const std::string& token);
  Result<std::string> guarded_plugin_bundle(const std::string& token);

  boost::asio::io_context& context_;
  const Settings& settings_;
  Hub& hub_;
  std::shared_ptr<boost::asio::ssl::context> tls_;
  int connections_ = 0;
  std::unordered_map<std::string, int> by_source_;
};

}  // namespace hawser::cloud
