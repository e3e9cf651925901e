#pragma once

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/tls_calls.hpp"

namespace hawser::bench {

// A bare, blocking TLS client: one send is one record (or more, over 16 KiB). What a subconnection is held against.
class RawTls {
 public:
  RawTls(const std::string& ca_file, std::uint16_t port) : context_(SSL_CTX_new(TLS_client_method())) {
    if (SSL_CTX_load_verify_locations(context_.get(), ca_file.c_str(), nullptr) != 1) give_up("loading the CA");
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) give_up("connect");
    const int on = 1;
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ssl_.reset(SSL_new(context_.get()));
    SSL_set_fd(ssl_.get(), socket_);
    SSL_set_tlsext_host_name(ssl_.get(), "localhost");
    SSL_set1_host(ssl_.get(), "localhost");
    if (SSL_connect(ssl_.get()) != 1) give_up("SSL_connect");
  }
  RawTls(const RawTls&) = delete;
  RawTls& operator=(const RawTls&) = delete;
  ~RawTls() {
    ssl_.reset();
    close(socket_);
  }

  void send(std::string_view data) { write_all(ssl_.get(), data); }

  // Until the sink has read everything and said so.
  void wait_for_end() {
    char byte = 0;
    std::size_t moved = 0;
    if (SSL_read_ex(ssl_.get(), &byte, 1, &moved) != 1) give_up("waiting for the sink");
  }

 private:
  Context context_;
  Ssl ssl_;
  int socket_ = -1;
};

}  // namespace hawser::bench
