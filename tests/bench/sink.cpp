#include "tests/bench/sink.hpp"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <vector>

#include "tests/bench/tls_calls.hpp"

namespace hawser::bench {
namespace {

constexpr std::size_t kHeadMax = 16 * 1024;

std::string header_value(const std::string& head, const std::string& name) {
  const auto at = head.find("\r\n" + name + ": ");
  if (at == std::string::npos) return {};
  const auto begin = at + name.size() + 4;
  return head.substr(begin, head.find("\r\n", begin) - begin);
}

std::string accept_for(const std::string& key) {
  const std::string text = key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest{};
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  std::array<unsigned char, 32> encoded{};
  const int size = EVP_EncodeBlock(encoded.data(), digest.data(), static_cast<int>(digest.size()));
  return {reinterpret_cast<const char*>(encoded.data()), static_cast<std::size_t>(size)};
}

// Reads until the end of the request's head; what came after it counts as data.
std::string read_head(SSL* ssl, std::size_t& data_bytes) {
  std::string text;
  std::vector<char> buffer(kHeadMax);
  for (;;) {
    std::size_t moved = 0;
    if (SSL_read_ex(ssl, buffer.data(), buffer.size(), &moved) != 1) give_up("reading the request");
    text.append(buffer.data(), moved);
    const auto end = text.find("\r\n\r\n");
    if (end != std::string::npos) {
      data_bytes = text.size() - end - 4;
      return text.substr(0, end + 2);
    }
    if (text.size() > kHeadMax) give_up("the request is too long; reading it");
  }
}

void serve(SSL* ssl) {
  if (SSL_accept(ssl) != 1) give_up("SSL_accept");
  std::size_t got = 0;
  const std::string head = read_head(ssl, got);
  const bool websocket = head.rfind("GET /websocket/", 0) == 0;
  const std::size_t total = std::stoull(head.substr(head.find('/', 5) + 1));
  if (websocket) {
    write_all(ssl,
              "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              "Sec-WebSocket-Accept: " +
                  accept_for(header_value(head, "Sec-WebSocket-Key")) +
                  "\r\nSec-WebSocket-Protocol: " + header_value(head, "Sec-WebSocket-Protocol") + "\r\n\r\n");
  }
  std::vector<char> buffer(256 * 1024);
  std::size_t moved = 0;
  while (got < total) {
    if (SSL_read_ex(ssl, buffer.data(), buffer.size(), &moved) != 1) give_up("reading");
    got += moved;
  }
  write_all(ssl, websocket ? std::string_view("\x88\x02\x03\xe8", 4) : std::string_view("."));
  while (SSL_read_ex(ssl, buffer.data(), buffer.size(), &moved) == 1) {
  }
}

[[noreturn]] void serve_all(int listener, const std::string& certificate, const std::string& key) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const Context context(SSL_CTX_new(TLS_server_method()));
  if (SSL_CTX_use_certificate_chain_file(context.get(), certificate.c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(context.get(), key.c_str(), SSL_FILETYPE_PEM) != 1) {
    give_up("loading the sink's certificate");
  }
  for (;;) {
    const int client = accept(listener, nullptr, nullptr);
    if (client < 0) give_up("accept");
    Ssl ssl(SSL_new(context.get()));
    SSL_set_fd(ssl.get(), client);
    serve(ssl.get());
    ERR_clear_error();
    ssl.reset();
    close(client);
  }
}

}  // namespace

Sink::Sink(const std::string& certificate, const std::string& key) {
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(listener, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener, 8) != 0 ||
      getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    give_up("listening");
  }
  port_ = ntohs(address.sin_port);
  child_ = fork();
  if (child_ < 0) give_up("fork");
  if (child_ == 0) serve_all(listener, certificate, key);
  close(listener);
}

Sink::~Sink() {
  kill(child_, SIGKILL);
  waitpid(child_, nullptr, 0);
}

}  // namespace hawser::bench
