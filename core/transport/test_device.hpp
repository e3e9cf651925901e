#pragma once

#include <poll.h>

#include <string>

#include "core/transport/connector.hpp"
#include "core/transport/stream.hpp"
#include "core/transport/test_tls_server.hpp"
#include "core/transport/tls_stream.hpp"

// A device that trusts one authority, for the tests that dial.
namespace hawser::transport::test {

inline const Certificate& authority() {
  static const Certificate made = make_authority();
  return made;
}

struct Device {
  TestFolder folder;
  std::string ca_file = folder.write("ca.pem", authority().certificate_pem());
  Waker waker;
  Dialer dialer{DialSettings{ca_file, {}}, waker};

  Result<std::unique_ptr<Stream>> dial(const std::string& host, std::uint16_t port, milliseconds limit = 10s) {
    return dialer.dial({host, port}, Clock::now() + limit);
  }
  // TLS for a name that nobody can look up, to 127.0.0.1.
  Result<std::unique_ptr<Stream>> secure(const std::string& host, std::uint16_t port) {
    const StepLimit limit(10s, Clock::now() + 10s);
    auto connected = connect_any({Poco::Net::IPAddress("127.0.0.1")}, port, waker, limit);
    if (!connected) return connected.error();
    auto context = TlsContext::make(host, ca_file);
    if (!context) return context.error();
    return TlsStream::secure(std::move(*connected), {host, port}, **context, std::chrono::system_clock::now(), waker,
                             limit, [](const Poco::Net::Session::Ptr&) {});
  }
};

inline Certificate for_names(const std::string& names) { return issue(authority(), {"leaf", names, -1h, 24h}); }

inline void answer_pings(Peer& peer) {
  while (!peer.read_until("ping").empty()) peer.write("pong");
}

// Reads until something other than waiting happens.
inline Result<Stream::Io> read_one(Stream& stream, std::string& text) {
  char buffer[4096];
  const TimePoint limit = Clock::now() + 10s;
  for (;;) {
    std::size_t moved = 0;
    auto io = stream.read(buffer, moved);
    if (!io || *io == Stream::Io::Done || *io == Stream::Io::Closed || Clock::now() > limit) {
      text.assign(buffer, moved);
      return io;
    }
    pollfd ready{stream.descriptor(), POLLIN, 0};
    ::poll(&ready, 1, 10'000);
  }
}

inline std::string say(Stream& stream, const std::string& text) {
  std::size_t moved = 0;
  const auto io = stream.write(text, moved);
  if (!io) return "failed: " + io.error().message;
  std::string answer;
  const auto read = read_one(stream, answer);
  return read ? answer : "failed: " + read.error().message;
}

inline std::string code(const Result<std::unique_ptr<Stream>>& result) {
  return result ? "connected" : result.error().code;
}

}  // namespace hawser::transport::test
