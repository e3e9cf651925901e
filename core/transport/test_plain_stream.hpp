#pragma once

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <vector>

#include "core/base/files.hpp"
#include "core/transport/stream.hpp"

namespace hawser::transport::test {

// A Stream without TLS over one end of a socket pair, and the other end as the peer's. One thread.
class PlainStream final : public Stream {
 public:
  explicit PlainStream(Descriptor socket) : socket_(std::move(socket)) {}

  Result<Io> read(std::span<char> bytes, std::size_t& moved) override {
    return io(::recv(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT), Io::WantRead, moved);
  }
  Result<Io> write(std::span<const char> bytes, std::size_t& moved) override {
    writes.push_back(bytes.size());
    return io(::send(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL), Io::WantWrite, moved);
  }
  int descriptor() const override { return socket_.get(); }
  std::string peer_address() const override { return "pair"; }
  bool session_was_resumed() const override { return false; }
  void answered() override {}
  void shutdown() noexcept override { ::shutdown(socket_.get(), SHUT_WR); }

  std::vector<std::size_t> writes;  // the sizes that were offered

 private:
  static Result<Io> io(ssize_t count, Io blocked, std::size_t& moved) {
    moved = count > 0 ? static_cast<std::size_t>(count) : 0;
    if (count > 0) return Io::Done;
    if (count == 0) return Io::Closed;
    if (errno == EAGAIN) return blocked;
    return Error{"peer_closed", std::strerror(errno)};
  }
  Descriptor socket_;
};

struct Pair {
  std::unique_ptr<PlainStream> stream;
  Descriptor peer;

  // `buffer_bytes`: how much the kernel takes before a write waits; 0: its default.
  static Pair make(int buffer_bytes = 0) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) throw std::runtime_error("socketpair");
    if (buffer_bytes > 0) ::setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof buffer_bytes);
    return {std::make_unique<PlainStream>(Descriptor(ends[0])), Descriptor(ends[1])};
  }
  void say(const std::string& bytes) const {
    if (::send(peer.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(bytes.size()))
      throw std::runtime_error("the test's peer cannot send");
  }
  // What waits to be read, without waiting for more.
  std::string hear() const {
    std::string all;
    char buffer[64 * 1024];
    for (ssize_t got = 0; (got = ::recv(peer.get(), buffer, sizeof buffer, MSG_DONTWAIT)) > 0;)
      all.append(buffer, static_cast<std::size_t>(got));
    return all;
  }
  bool peer_sees_end() const {
    char byte = 0;
    return ::recv(peer.get(), &byte, 1, MSG_DONTWAIT) == 0;
  }
};

}  // namespace hawser::transport::test
