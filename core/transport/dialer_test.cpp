// The Dialer against scripted servers on 127.0.0.1: who is trusted, for which name, at what time.
#include <arpa/inet.h>

#include <cstdlib>
#include <thread>

#include "core/transport/test_device.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::transport;
using namespace hawser::transport::test;

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

TEST_CASE(
    "[sec-1] [F38] a certificate for another name ends the handshake, and the words tell what was expected and got") {
  // The last one is a match by common name only, which does not count.
  const std::string names = GENERATE("DNS:other.example", "IP:127.0.0.2", "DNS:*.localhost", "DNS:local*", "");
  INFO(names);
  TlsServer server(issue(authority(), {"localhost", names}), answer_pings);
  Device device;
  const auto stream = device.dial("localhost", server.port());
  REQUIRE(!stream);
  CHECK(stream.error().code == "tls_failed");
  const std::string got = names.empty() ? "no name at all" : names.substr(names.find(':') + 1);
  CHECK(stream.error().message.find("another name: expected localhost, got " + got) != std::string::npos);
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

TEST_CASE("[sec-1] [F39] an authority that is not ours is refused, with its name, and the words name ca_file") {
  const Certificate stranger = make_authority("Stranger");
  TlsServer server(issue(stranger, {"localhost", "DNS:localhost"}), answer_pings);
  Device device;
  const auto stream = device.dial("localhost", server.port());
  REQUIRE(!stream);
  CHECK(stream.error().code == "tls_failed");
  CHECK(stream.error().message.find("ca_file") != std::string::npos);
  CHECK(stream.error().message.find("issued by CN = Stranger") != std::string::npos);
  CHECK(stream.error().message.find("intercepted?") != std::string::npos);
}

TEST_CASE("[F19] [F68] a portal in the way, with another name and another authority, is named as such") {
  const Certificate stranger = make_authority("Portal\x1b[0m");
  TlsServer server(issue(stranger, {"portal", "DNS:portal.hotel.test,IP:192.0.2.1"}), answer_pings);
  Device device;
  const auto stream = device.dial("localhost", server.port());
  REQUIRE(!stream);
  CHECK(stream.error().code == "tls_failed");
  INFO(stream.error().message);
  CHECK(stream.error().message.find("expected localhost, got portal.hotel.test, 192.0.2.1") != std::string::npos);
  CHECK(stream.error().message.find("portal, or check the domain") != std::string::npos);
  CHECK(stream.error().message.find('\x1b') == std::string::npos);
  CHECK(server.handshakes() == 0);  // nothing was sent to it
}

TEST_CASE("[F40] an authority is exchanged without a gap while ca_file holds the old and the new one") {
  Device device;
  const Certificate next = make_authority("Next authority");
  TlsServer before(for_names("DNS:localhost"), answer_pings), after(issue(next, {"x", "DNS:localhost"}), answer_pings);
  const auto told = [&](const std::string& anchors, const TlsServer& server) {
    Dialer dialer(DialSettings{device.folder.write("both.pem", anchors), {}, {}}, device.waker);
    return code(dialer.dial({"localhost", server.port()}, Clock::now() + 10s));
  };
  const std::string old_pem = authority().certificate_pem(), new_pem = next.certificate_pem();
  CHECK(told(old_pem + new_pem, before) == "connected");
  CHECK(told(old_pem + new_pem, after) == "connected");
  CHECK(told(new_pem, after) == "connected");
  CHECK(told(new_pem, before) == "tls_failed");
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

TEST_CASE(
    "[sec-1] [F36] [F37] expired and not yet valid are told apart, with date and clock, and the floor counts as the "
    "clock") {
  Device device;
  SECTION("expired") {
    TlsServer server(issue(authority(), {"leaf", "DNS:localhost", -3h, -1h}), answer_pings);
    const auto stream = device.dial("localhost", server.port());
    REQUIRE(!stream);
    CHECK(stream.error().code == "certificate_clock");
    CHECK(stream.error().message.find("expired on 20") != std::string::npos);
    CHECK(stream.error().message.find("; the device's clock is 20") != std::string::npos);
  }
  SECTION("not yet valid, until the cloud has told a later time") {
    TlsServer server(issue(authority(), {"leaf", "DNS:localhost", 2h, 4h}), answer_pings);
    const auto early = device.dial("localhost", server.port());
    REQUIRE(!early);
    CHECK(early.error().code == "certificate_clock");
    CHECK(early.error().message.find("valid from 20") != std::string::npos);
    CHECK(early.error().message.find("the clock may be wrong") != std::string::npos);
    device.dialer.set_validity_floor(std::chrono::system_clock::now() + 3h);
    CHECK(code(device.dial("localhost", server.port())) == "connected");
    // A floor in the past takes nothing back: the clock is ahead of it.
    device.dialer.set_validity_floor(std::chrono::system_clock::now() - 24h * 365);
    CHECK(code(device.dial("localhost", server.port())) == "certificate_clock");
  }
}

TEST_CASE("[sec-1] [F41] less than TLS 1.2 is refused and says so, 1.2 and 1.3 are spoken") {
  Device device;
  const int version = GENERATE(TLS1_VERSION, TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION);
  TlsServer server(for_names("DNS:localhost"), answer_pings, version);
  const auto stream = device.dial("localhost", server.port());
  if (version >= TLS1_2_VERSION) {
    CHECK(code(stream) == "connected");
  } else {
    REQUIRE(!stream);
    CHECK(stream.error().code == "tls_failed");
    CHECK(stream.error().message.find("the server offers no TLS 1.2 or later") != std::string::npos);
  }
}

TEST_CASE("an IP literal that is not in the certificate is refused") {
  TlsServer server(for_names("DNS:localhost,DNS:127.0.0.1,IP:10.0.0.1"), answer_pings);
  Device device;
  CHECK(code(device.dial("127.0.0.1", server.port())) == "tls_failed");
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
  const auto stream = device.dial("127.0.0.1", plain.port);
  server.join();
  REQUIRE(!stream);
  CHECK(stream.error().code == "tls_failed");
  CHECK(stream.error().message.find("does not speak TLS on this port") != std::string::npos);
}

TEST_CASE("an origin writes an IPv6 literal in brackets") {
  CHECK(Origin{"cloud.example", 443}.text() == "cloud.example:443");
  CHECK(Origin{"::1", 8443}.text() == "[::1]:8443");
}
