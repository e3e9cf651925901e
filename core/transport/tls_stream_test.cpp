// The TLS stream: what Poco and OpenSSL need so that no byte, error or session is lost.
#include <openssl/err.h>

#include <atomic>
#include <cerrno>
#include <thread>

#include "core/transport/test_device.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::transport;
using namespace hawser::transport::test;

TEST_CASE("a session is resumed on the next dial of the same port only") {
  const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  const Certificate certificate = for_names("DNS:localhost");
  TlsServer server(certificate, answer_pings, version), other(certificate, answer_pings, version);
  Device device;
  {
    auto first = device.dial("localhost", server.port());
    REQUIRE(first);
    CHECK(!(*first)->session_was_resumed());
    REQUIRE(say(**first, "ping") == "pong");
    (*first)->answered();
    (*first)->shutdown();
  }
  {
    auto elsewhere = device.dial("localhost", other.port());
    REQUIRE(elsewhere);
    CHECK(!(*elsewhere)->session_was_resumed());
  }
  auto second = device.dial("localhost", server.port());
  REQUIRE(second);
  CHECK((*second)->session_was_resumed());
  CHECK(say(**second, "ping") == "pong");
}

TEST_CASE("[perf-3] of 100 reconnects at least 95 resume the TLS session, however the connection before ended") {
  const int version = GENERATE(TLS1_2_VERSION, TLS1_3_VERSION);
  TlsServer server(
      for_names("DNS:localhost"),
      [](Peer& peer) {
        for (std::string word; !(word = peer.read_some()).empty();) {
          if (word == "die") return peer.cut();
          peer.write("pong");
        }
      },
      version);
  Device device;
  int resumed = 0;
  for (int i = 0; i <= 100; ++i) {
    auto stream = device.dial("localhost", server.port());
    REQUIRE(stream);
    REQUIRE(say(**stream, "ping") == "pong");
    resumed += (*stream)->session_was_resumed() ? 1 : 0;
    (*stream)->answered();
    // By us, by a server that is killed, or with the stream itself.
    if (i % 3 == 0) (*stream)->shutdown();
    if (i % 3 == 1) CHECK(say(**stream, "die").starts_with("failed: the connection "));
  }
  INFO("resumed: " << resumed);
  CHECK(resumed >= 95);
}

TEST_CASE("[sec-1] resuming does not outlive the certificate") {
  TlsServer server(for_names("DNS:localhost"), answer_pings);
  Device device;
  {
    auto first = device.dial("localhost", server.port());
    REQUIRE(first);
    REQUIRE(say(**first, "ping") == "pong");
    (*first)->answered();
    (*first)->shutdown();
  }
  device.dialer.set_validity_floor(std::chrono::system_clock::now() + 48h);  // the certificate is valid for 24 hours
  CHECK(code(device.dial("localhost", server.port())) == "certificate_clock");
}

TEST_CASE("writing to a peer that is gone is an error, not a signal that ends the process") {
  TlsServer server(for_names("DNS:localhost"), [](Peer& peer) {
    peer.read_until("ping");
    peer.cut();
  });
  Device device;
  auto stream = device.dial("localhost", server.port());
  REQUIRE(stream);
  CHECK(say(**stream, "ping").starts_with("failed: "));
  const TimePoint limit = Clock::now() + 10s;
  std::size_t moved = 0;
  Result<Stream::Io> io = Stream::Io::Done;
  while (io && Clock::now() < limit) io = (*stream)->write(std::string_view("anybody there?"), moved);
  REQUIRE(!io);
  CHECK(io.error().code == "peer_closed");
}

TEST_CASE("an IP literal is verified but never sent as a server name, a host name is") {
  TlsServer server(for_names("DNS:localhost,IP:127.0.0.1"), answer_pings);
  Device device;
  REQUIRE(device.dial("127.0.0.1", server.port()));
  REQUIRE(device.dial("localhost", server.port()));
  auto again = device.dial("127.0.0.1", server.port());  // the server has noted the first two by then
  REQUIRE(again);
  REQUIRE(say(**again, "ping") == "pong");
  CHECK(server.names() == std::vector<std::string>{"-", "localhost", "-"});
}

TEST_CASE("stale errors of OpenSSL and of the system do not disturb a healthy stream") {
  TlsServer server(for_names("DNS:localhost"), [](Peer& peer) {
    peer.write(peer.read_until("ping"));
    peer.close_notify();
    peer.drain();
  });
  Device device;
  ERR_raise(ERR_LIB_USER, 1);
  errno = EINTR;
  auto stream = device.dial("localhost", server.port());
  REQUIRE(stream);
  const auto soil = [] {
    ERR_raise(ERR_LIB_USER, 1);
    errno = EINTR;
  };
  std::size_t moved = 0;
  soil();
  const auto written = (*stream)->write(std::string_view("ping"), moved);
  REQUIRE(written);
  CHECK(moved == 4);
  std::string text;
  soil();
  REQUIRE(read_one(**stream, text));
  CHECK(text == "ping");
  // After close_notify a stale EINTR made Poco spin for ever.
  pollfd ready{(*stream)->descriptor(), POLLIN, 0};
  ::poll(&ready, 1, 10'000);
  for (int k = 0; k < 3; ++k) {
    soil();
    const auto end = read_one(**stream, text);
    REQUIRE(end);
    CHECK(*end == Stream::Io::Closed);
  }
}

TEST_CASE("close_notify reads as the end, a cut connection as an error that says so") {
  const bool orderly = GENERATE(true, false);
  TlsServer server(for_names("DNS:localhost"), [orderly](Peer& peer) {
    peer.read_until("ping");
    if (orderly)
      peer.close_notify();
    else
      peer.cut();
  });
  Device device;
  auto stream = device.dial("localhost", server.port());
  REQUIRE(stream);
  std::size_t moved = 0;
  REQUIRE((*stream)->write(std::string_view("ping"), moved));
  std::string text;
  const auto end = read_one(**stream, text);
  if (orderly) {
    REQUIRE(end);
    CHECK(*end == Stream::Io::Closed);
  } else {
    REQUIRE(!end);
    CHECK(end.error().code == "peer_closed");
    CHECK(end.error().message.find("close_notify") != std::string::npos);
  }
}

TEST_CASE("shutdown sends close_notify without waiting") {
  std::atomic<int> orderly{-1};
  {
    TlsServer server(for_names("DNS:localhost"), [&](Peer& peer) {
      peer.drain();
      orderly = peer.ended_by_close_notify();
    });
    Device device;
    auto stream = device.dial("localhost", server.port());
    REQUIRE(stream);
    (*stream)->shutdown();
    (*stream)->shutdown();  // once more is fine
  }
  CHECK(orderly == 1);
}

TEST_CASE("a write that had to wait goes on from another buffer, and nothing is lost or doubled") {
  constexpr std::size_t kTotal = 8 * 1024 * 1024;
  std::atomic<std::size_t> got{0};
  std::atomic<bool> in_order{true}, may_read{false};
  TlsServer server(for_names("DNS:localhost"), [&](Peer& peer) {
    while (!may_read) std::this_thread::yield();
    for (std::string part; !(part = peer.read_some()).empty();) {
      for (const char c : part) in_order = in_order && c == static_cast<char>(got++ % 251);
    }
  });
  Device device;
  auto stream = device.dial("localhost", server.port());
  REQUIRE(stream);
  std::size_t sent = 0;
  int waits = 0, turn = 0;
  std::string buffers[2];  // two, so that no retry finds its bytes where they were
  while (sent < kTotal) {
    std::string& part = buffers[turn++ % 2];
    part.resize(std::min<std::size_t>(64 * 1024, kTotal - sent));
    for (std::size_t i = 0; i < part.size(); ++i) part[i] = static_cast<char>((sent + i) % 251);
    std::size_t moved = 0;
    const auto io = (*stream)->write(part, moved);
    REQUIRE(io);
    sent += moved;
    if (*io != Stream::Io::WantWrite) continue;
    ++waits;
    may_read = true;
    pollfd ready{(*stream)->descriptor(), POLLOUT, 0};
    REQUIRE(::poll(&ready, 1, 10'000) == 1);
  }
  CHECK(waits > 0);
  (*stream)->shutdown();
  std::string text;
  read_one(**stream, text).has_value();
  CHECK(got == kTotal);
  CHECK(in_order);
}
