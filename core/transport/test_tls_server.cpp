#include "core/transport/test_tls_server.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>

namespace hawser::transport::test {
namespace {

constexpr int kWaitMs = 10'000;

void set_time_limits(int fd) {
  const timeval limit{kWaitMs / 1000, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

}  // namespace

Listener Listener::open(int backlog, const char* text, std::uint16_t port) {
  Listener made;
  made.socket.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  ::inet_pton(AF_INET, text, &address.sin_addr);
  address.sin_port = htons(port);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(made.socket.get(), generic, size) != 0 || ::listen(made.socket.get(), backlog) != 0 ||
      ::getsockname(made.socket.get(), generic, &size) != 0)
    throw std::runtime_error("the test server cannot listen");
  made.port = ntohs(address.sin_port);
  return made;
}

std::vector<Descriptor> Listener::fill() const {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size);
  std::vector<Descriptor> fillers;
  for (int i = 0; i < 8; ++i) {
    fillers.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    (void)::connect(fillers.back().get(), reinterpret_cast<sockaddr*>(&address), size);
  }
  return fillers;
}

Descriptor Listener::accept() const {
  pollfd ready{socket.get(), POLLIN, 0};
  if (::poll(&ready, 1, kWaitMs) != 1) return {};
  Descriptor connection(::accept4(socket.get(), nullptr, nullptr, SOCK_CLOEXEC));
  if (connection) set_time_limits(connection.get());
  return connection;
}

std::string Peer::read_some() {
  char buffer[16 * 1024];
  ERR_clear_error();
  const int got = SSL_read(ssl_, buffer, sizeof buffer);
  return got > 0 ? std::string(buffer, static_cast<std::size_t>(got)) : std::string();
}

std::string Peer::read_until(const std::string& mark) {
  std::size_t at = 0;
  while ((at = buffer_.find(mark)) == std::string::npos) {
    const std::string more = read_some();
    if (more.empty()) return {};
    buffer_ += more;
  }
  const std::string found = buffer_.substr(0, at + mark.size());
  buffer_.erase(0, found.size());
  return found;
}

std::string Peer::read_exactly(std::size_t bytes) {
  while (buffer_.size() < bytes) {
    const std::string more = read_some();
    if (more.empty()) break;
    buffer_ += more;
  }
  const std::string found = buffer_.substr(0, bytes);
  buffer_.erase(0, found.size());
  return found;
}

void Peer::write(const std::string& bytes) {
  ERR_clear_error();
  SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size()));
}

void Peer::cut() { ::shutdown(fd_, SHUT_RDWR); }

void Peer::drain() {
  while (!read_some().empty()) {
  }
}

TlsServer::TlsServer(const Certificate& certificate, Serve serve, int max_version, const char* address)
    : listener_(Listener::open(16, address)),
      context_(SSL_CTX_new(TLS_server_method()), SSL_CTX_free),
      serve_(std::move(serve)) {
  SSL_CTX_use_certificate(context_.get(), certificate.certificate.get());
  SSL_CTX_use_PrivateKey(context_.get(), certificate.key.get());
  if (max_version != 0) {
    SSL_CTX_set_max_proto_version(context_.get(), max_version);
    SSL_CTX_set_min_proto_version(context_.get(), max_version);
    SSL_CTX_set_security_level(context_.get(), 0);  // or OpenSSL itself refuses to speak what is old
  }
  const unsigned char id[] = "hawser";
  SSL_CTX_set_session_id_context(context_.get(), id, sizeof id);
  thread_ = std::thread([this] { run(); });
}

TlsServer::~TlsServer() {
  stop_ = true;
  ::shutdown(listener_.socket.get(), SHUT_RDWR);  // ends the poll in accept()
  thread_.join();
}

std::vector<std::string> TlsServer::names() const {
  const std::lock_guard lock(mutex_);
  return names_;
}

void TlsServer::run() {
  while (!stop_) {
    Descriptor socket = listener_.accept();
    if (socket && !stop_) serve_one(std::move(socket));
  }
}

void TlsServer::serve_one(Descriptor socket) {
  const std::unique_ptr<SSL, decltype(&SSL_free)> ssl(SSL_new(context_.get()), SSL_free);
  SSL_set_fd(ssl.get(), socket.get());
  ERR_clear_error();
  const bool secured = SSL_accept(ssl.get()) == 1;
  {
    const char* name = SSL_get_servername(ssl.get(), TLSEXT_NAMETYPE_host_name);
    const std::lock_guard lock(mutex_);
    names_.push_back(name ? name : "-");
  }
  if (!secured) return;
  ++handshakes_;
  Peer peer(ssl.get(), socket.get());
  serve_(peer);
}

}  // namespace hawser::transport::test
