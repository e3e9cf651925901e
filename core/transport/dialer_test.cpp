// The Dialer and its TLS stream against scripted servers on 127.0.0.1.
#include <openssl/err.h>

#include <cerrno>
#include <cstdlib>
#include <thread>

#include "core/transport/http.hpp"
#include "core/transport/resolver.hpp"
#include "core/transport/stream.hpp"
#include "core/transport/test_tls_server.hpp"
#include "core/transport/tls_stream.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::transport;
using namespace hawser::transport::test;

namespace {

const Certificate& authority() {
  static const Certificate made = make_authority();
  return made;
}

struct Device {
  TemporaryFolder folder;
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

Certificate for_names(const std::string& names) { return issue(authority(), {"leaf", names, -1h, 24h}); }

void answer_pings(Peer& peer) {
  while (!peer.read_until("ping").empty()) peer.write("pong");
}

// Reads until something other than waiting happens.
Result<Stream::Io> read_one(Stream& stream, std::string& text) {
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

std::string say(Stream& stream, const std::string& text) {
  std::size_t moved = 0;
  const auto io = stream.write(text, moved);
  if (!io) return "failed: " + io.error().message;
  std::string answer;
  const auto read = read_one(stream, answer);
  return read ? answer : "failed: " + read.error().message;
}

std::string code(const Result<std::unique_ptr<Stream>>& result) { return result ? "connected" : result.error().code; }

}  // namespace

TEST_CASE("a verified connection is made by name and by address, and carries bytes") {
  TlsServer server(for_names("DNS:localhost,IP:127.0.0.1"), answer_pings);
  Device device;
  const std::string host = GENERATE("localhost", "127.0.0.1");
  INFO(host);
  std::vector<DialStep> steps;
  auto stream =
      device.dialer.dial({host, server.port()}, Clock::now() + 10s, [&](DialStep step) { steps.push_back(step); });
  INFO((stream ? std::string() : stream.error().message));
  REQUIRE(stream);
  CHECK((*stream)->peer_address() == "127.0.0.1");
  CHECK(say(**stream, "ping") == "pong");
  CHECK(steps == std::vector{DialStep::Resolving, DialStep::Resolved, DialStep::Connecting, DialStep::Connected,
                             DialStep::Secured});
}

TEST_CASE("[sec-1] a certificate for another name ends the handshake") {
  // The last one is a match by common name only, which does not count.
  const std::string names = GENERATE("DNS:other.example", "IP:127.0.0.2", "DNS:*.localhost", "DNS:local*", "");
  INFO(names);
  TlsServer server(issue(authority(), {"localhost", names}), answer_pings);
  Device device;
  const auto stream = device.dial("localhost", server.port());
  REQUIRE(!stream);
  CHECK(stream.error().code == "tls_failed");
  CHECK(stream.error().message.find("another name") != std::string::npos);
  CHECK(server.handshakes() == 0);  // told to the server before anything could be sent
}

TEST_CASE("[sec-1] a wildcard stands for one whole label, not for a part of one") {
  const bool whole = GENERATE(true, false);
  TlsServer server(for_names(whole ? "DNS:*.cloud.test" : "DNS:w*.cloud.test"), answer_pings);
  Device device;
  CHECK(code(device.secure("www.cloud.test", server.port())) == (whole ? "connected" : "tls_failed"));
}

TEST_CASE("[sec-1] a wrong name is seen also when the server stalls in the middle of its handshake") {
  // The server's flight is cut after its first bytes and goes on later: Poco's own check can be missed that way.
  const Certificate wrong = for_names("DNS:other.example");
  TlsServer server(wrong, answer_pings);
  const Listener front = Listener::open();
  std::thread relay([&] {
    Descriptor client = front.accept();
    Descriptor behind(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(server.port());
    if (!client || ::connect(behind.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return;
    char buffer[64];
    for (int quiet = 0; quiet < 20;) {  // small pieces with pauses, until nothing has moved for a while
      pollfd both[2] = {{client.get(), POLLIN, 0}, {behind.get(), POLLIN, 0}};
      if (::poll(both, 2, 50) == 0) ++quiet;
      for (int from = 0; from < 2; ++from) {
        if (both[from].revents == 0) continue;
        const ssize_t got = ::recv(both[from].fd, buffer, sizeof buffer, 0);
        if (got <= 0) return;
        if (from == 1) ::poll(nullptr, 0, 5);
        if (::send(both[1 - from].fd, buffer, static_cast<std::size_t>(got), MSG_NOSIGNAL) < 0) return;
      }
    }
  });
  Device device;
  const auto stream = device.dial("localhost", front.port);
  relay.join();
  REQUIRE(!stream);
  CHECK(stream.error().code == "tls_failed");
  CHECK(stream.error().message.find("another name") != std::string::npos);
}

TEST_CASE("[sec-1] an authority that is not ours is refused, and the words name ca_file") {
  const Certificate stranger = make_authority("Stranger");
  TlsServer server(issue(stranger, {"localhost", "DNS:localhost"}), answer_pings);
  Device device;
  const auto stream = device.dial("localhost", server.port());
  REQUIRE(!stream);
  CHECK(stream.error().code == "tls_failed");
  CHECK(stream.error().message.find("ca_file") != std::string::npos);
}

TEST_CASE("[sec-1] without ca_file the system's directory counts, and no variable of the environment adds to it") {
  TlsServer server(for_names("DNS:localhost"), answer_pings);
  Device device;
  const std::string hashed = device.folder.path().string();
  const unsigned long hash =
      X509_NAME_hash_ex(X509_get_subject_name(authority().certificate.get()), nullptr, nullptr, nullptr);
  char name[32];
  std::snprintf(name, sizeof name, "%08lx.0", hash);
  device.folder.write(name, authority().certificate_pem());
  ::setenv("SSL_CERT_DIR", hashed.c_str(), 1);
  ::setenv("SSL_CERT_FILE", device.ca_file.c_str(), 1);
  Dialer dialer(DialSettings{}, device.waker);
  const auto stream = dialer.dial({"localhost", server.port()}, Clock::now() + 10s);
  ::unsetenv("SSL_CERT_DIR");
  ::unsetenv("SSL_CERT_FILE");
  CHECK(code(stream) == "tls_failed");

  // The look-up itself works: an authority is found by its hash when it is asked for.
  const std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  REQUIRE(trust_directory(context.get(), hashed.c_str()));
  const std::shared_ptr<X509_STORE_CTX> check(X509_STORE_CTX_new(), X509_STORE_CTX_free);
  const Certificate leaf = for_names("DNS:localhost");
  X509_STORE_CTX_init(check.get(), SSL_CTX_get_cert_store(context.get()), leaf.certificate.get(), nullptr);
  CHECK(X509_verify_cert(check.get()) == 1);
}

TEST_CASE("a ca_file that cannot be read is named before a packet goes out") {
  Waker waker;
  Dialer dialer(DialSettings{"/nowhere/ca.pem", {}}, waker);
  const auto stream = dialer.dial({"127.0.0.1", 9}, Clock::now() + 5s);
  REQUIRE(!stream);
  CHECK(stream.error().code == "tls_failed");
  CHECK(stream.error().message.find("/nowhere/ca.pem") != std::string::npos);
}

TEST_CASE("[sec-1] expired and not yet valid are told apart, with date and clock, and the floor counts as the clock") {
  Device device;
  SECTION("expired") {
    TlsServer server(issue(authority(), {"leaf", "DNS:localhost", -3h, -1h}), answer_pings);
    const auto stream = device.dial("localhost", server.port());
    REQUIRE(!stream);
    CHECK(stream.error().code == "certificate_clock");
    CHECK(stream.error().message.find("expired on 20") != std::string::npos);
    CHECK(stream.error().message.find("the time on this device is 20") != std::string::npos);
  }
  SECTION("not yet valid, until the cloud has told a later time") {
    TlsServer server(issue(authority(), {"leaf", "DNS:localhost", 2h, 4h}), answer_pings);
    const auto early = device.dial("localhost", server.port());
    REQUIRE(!early);
    CHECK(early.error().code == "certificate_clock");
    CHECK(early.error().message.find("valid from 20") != std::string::npos);
    device.dialer.set_validity_floor(std::chrono::system_clock::now() + 3h);
    CHECK(code(device.dial("localhost", server.port())) == "connected");
    // A floor in the past takes nothing back: the clock is ahead of it.
    device.dialer.set_validity_floor(std::chrono::system_clock::now() - 24h * 365);
    CHECK(code(device.dial("localhost", server.port())) == "certificate_clock");
  }
}

TEST_CASE("[sec-1] less than TLS 1.2 is refused, 1.2 and 1.3 are spoken") {
  Device device;
  const int version = GENERATE(TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION);
  TlsServer server(for_names("DNS:localhost"), answer_pings, version);
  CHECK(code(device.dial("localhost", server.port())) == (version == TLS1_1_VERSION ? "tls_failed" : "connected"));
}

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
    (*first)->keep_session();
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

TEST_CASE("[sec-1] resuming does not outlive the certificate") {
  TlsServer server(for_names("DNS:localhost"), answer_pings);
  Device device;
  {
    auto first = device.dial("localhost", server.port());
    REQUIRE(first);
    REQUIRE(say(**first, "ping") == "pong");
    (*first)->keep_session();
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

TEST_CASE("an IP literal that is not in the certificate is refused") {
  TlsServer server(for_names("DNS:localhost,DNS:127.0.0.1,IP:10.0.0.1"), answer_pings);
  Device device;
  CHECK(code(device.dial("127.0.0.1", server.port())) == "tls_failed");
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

TEST_CASE("[conn-21] a server that never finishes the handshake is given up at the deadline") {
  const Listener silent = Listener::open();
  Device device;
  const TimePoint begin = Clock::now();
  const auto stream = device.dial("127.0.0.1", silent.port, 300ms);
  CHECK(code(stream) == "attempt_timeout");
  CHECK(Clock::now() - begin < 3s);
}

TEST_CASE("a port where nobody listens is connect_refused, at once and with the address") {
  std::uint16_t port = 0;
  {
    const Listener gone = Listener::open();
    port = gone.port;
  }
  Device device;
  const auto stream = device.dial("127.0.0.1", port);
  REQUIRE(!stream);
  CHECK(stream.error().code == "connect_refused");
  CHECK(stream.error().message.find("127.0.0.1:" + std::to_string(port)) != std::string::npos);
}

TEST_CASE("what speaks no TLS is tls_failed") {
  const Listener plain = Listener::open();
  std::thread server([&] {
    const Descriptor client = plain.accept();
    const char text[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
    if (client && ::send(client.get(), text, sizeof text - 1, MSG_NOSIGNAL) < 0) return;
    char buffer[1024];
    while (client && ::recv(client.get(), buffer, sizeof buffer, 0) > 0) {
    }
  });
  Device device;
  CHECK(code(device.dial("127.0.0.1", plain.port)) == "tls_failed");
  server.join();
}

TEST_CASE("an origin writes an IPv6 literal in brackets") {
  CHECK(Origin{"cloud.example", 443}.text() == "cloud.example:443");
  CHECK(Origin{"::1", 8443}.text() == "[::1]:8443");
}
