#pragma once

#include <openssl/ssl.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/base/files.hpp"
#include "core/transport/test_certificates.hpp"

namespace hawser::transport::test {

// A plain TCP listener on 127.0.0.1, or on another address of that net; port 0: a free one.
struct Listener {
  Descriptor socket;
  std::uint16_t port = 0;

  static Listener open(int backlog = 16, const char* address = "127.0.0.1", std::uint16_t port = 0);
  // Connections that nobody accepts, until the queue is full: the next one waits for its SYN to be answered. Open with
  // backlog 0.
  std::vector<Descriptor> fill() const;
  Descriptor accept() const;  // waits up to 10 s; empty when nobody came
};

// One connection as the server sees it. Blocking, each call at most 10 s.
class Peer {
 public:
  Peer(SSL* ssl, int fd) : ssl_(ssl), fd_(fd) {}

  std::string read_some();  // empty at the end
  std::string read_until(const std::string& mark);
  std::string read_exactly(std::size_t bytes);
  void write(const std::string& bytes);
  void close_notify() { SSL_shutdown(ssl_); }
  void cut();    // TCP ends without close_notify
  void drain();  // reads to the end
  bool ended_by_close_notify() const { return (SSL_get_shutdown(ssl_) & SSL_RECEIVED_SHUTDOWN) != 0; }
  SSL* ssl() { return ssl_; }
  int fd() const { return fd_; }

 private:
  SSL* ssl_;
  int fd_;
  std::string buffer_;
};

// A TLS server of one thread that serves one connection after another with `serve`, until it is destroyed.
class TlsServer {
 public:
  using Serve = std::function<void(Peer&)>;

  // `max_version`: as OpenSSL names it; 0: the newest.
  TlsServer(const Certificate& certificate, Serve serve, int max_version = 0, const char* address = "127.0.0.1");
  ~TlsServer();

  std::uint16_t port() const { return listener_.port; }
  int handshakes() const { return handshakes_; }
  // The server name indication of each connection; "-" where there was none.
  std::vector<std::string> names() const;

 private:
  void run();
  void serve_one(Descriptor socket);

  Listener listener_;
  std::shared_ptr<SSL_CTX> context_;
  Serve serve_;
  std::atomic<bool> stop_{false};
  std::atomic<int> handshakes_{0};
  mutable std::mutex mutex_;  // guards names_
  std::vector<std::string> names_;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace hawser::transport::test
