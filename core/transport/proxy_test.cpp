// conn-22: HTTP CONNECT proxies, a scripted one and Debian's tinyproxy.
#include "core/transport/proxy.hpp"

#include <netdb.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "core/base/encoding.hpp"
#include "core/transport/test_device.hpp"
#include "core/transport/upgrade_check.hpp"
#include "core/transport/websocket.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::transport;
using namespace hawser::transport::test;

namespace {

const std::string kTunnel = "HTTP/1.1 200 Connection established\r\n\r\n";

// Hears one request and answers as the test says; then it is the TLS server itself, or closes.
class ScriptedProxy {
 public:
  ScriptedProxy(std::string answer, std::uint16_t behind = 0)
      : answer_(std::move(answer)), behind_(behind), thread_([this] { serve(); }) {}
  ~ScriptedProxy() {
    ::shutdown(listener_.socket.get(), SHUT_RDWR);
    thread_.join();
  }
  std::uint16_t port() const { return listener_.port; }
  std::string heard() {  // once the dial is over
    const std::lock_guard lock(mutex_);
    return heard_;
  }

 private:
  void serve() {
    const Descriptor client = listener_.accept();
    if (!client) return;
    std::string request;
    char buffer[4096];
    while (request.find("\r\n\r\n") == std::string::npos) {
      const ssize_t got = ::recv(client.get(), buffer, sizeof buffer, 0);
      if (got <= 0) return;
      request.append(buffer, static_cast<std::size_t>(got));
    }
    {
      const std::lock_guard lock(mutex_);
      heard_ = request;
    }
    // In two pieces, the second with what follows: the device must find the end wherever it falls.
    const std::size_t half = answer_.size() / 2;
    ::send(client.get(), answer_.data(), half, MSG_NOSIGNAL);
    ::poll(nullptr, 0, 5);
    ::send(client.get(), answer_.data() + half, answer_.size() - half, MSG_NOSIGNAL);
    if (behind_ != 0) relay(client.get());
    if (answer_.empty()) return;
    while (::recv(client.get(), buffer, sizeof buffer, 0) > 0) {
    }
  }

  void relay(int client) const {
    const Descriptor server(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const Poco::Net::SocketAddress to("127.0.0.1", behind_);
    if (::connect(server.get(), to.addr(), to.length()) != 0) return;
    char buffer[16 * 1024];
    for (;;) {
      pollfd both[2] = {{client, POLLIN, 0}, {server.get(), POLLIN, 0}};
      if (::poll(both, 2, 10'000) <= 0) return;
      for (int from = 0; from < 2; ++from) {
        if (both[from].revents == 0) continue;
        const ssize_t got = ::recv(both[from].fd, buffer, sizeof buffer, 0);
        if (got <= 0) return;
        ::send(both[1 - from].fd, buffer, static_cast<std::size_t>(got), MSG_NOSIGNAL);
      }
    }
  }

  Listener listener_ = Listener::open();
  const std::string answer_;
  const std::uint16_t behind_;
  std::mutex mutex_;  // guards heard_
  std::string heard_;
  std::thread thread_;  // last: it uses all of the above
};

struct ProxiedDevice : Device {
  Proxy proxy{"127.0.0.1", 0, "", "", {}};
  Result<std::unique_ptr<Stream>> through(std::uint16_t port, const std::string& host, std::uint16_t host_port,
                                          milliseconds limit = 10s) {
    proxy.port = port;
    Dialer proxied(DialSettings{ca_file, {}, proxy}, waker);
    return proxied.dial({host, host_port}, Clock::now() + limit, [this](DialStep step) { steps.push_back(step); });
  }
  std::vector<DialStep> steps;
};

std::string words(const Result<std::unique_ptr<Stream>>& result) {
  return result ? "connected" : result.error().code + ": " + result.error().message;
}

// Debian's tinyproxy on a free port of 127.0.0.1, with a user and a password.
class Tinyproxy {
 public:
  Tinyproxy() {
    port_ = Listener::open().port;  // closed again
    const std::string file =
        folder_.write("tinyproxy.conf", "Port " + std::to_string(port_) +
                                            "\nListen 127.0.0.1\nTimeout 60\nMaxClients 10\nLogLevel Info\nLogFile \"" +
                                            (folder_.path() / "log").string() + "\"\nBasicAuth hawser s3cret-word\n");
    process_ = ::fork();
    if (process_ == 0) {
      ::execlp("tinyproxy", "tinyproxy", "-d", "-c", file.c_str(), nullptr);
      ::_exit(127);
    }
  }
  ~Tinyproxy() {
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  std::uint16_t port() const { return port_; }
  // False when it is not installed.
  bool listens() const {
    for (const TimePoint limit = Clock::now() + 10s; Clock::now() < limit; ::poll(nullptr, 0, 20)) {
      if (::waitpid(process_, nullptr, WNOHANG) != 0) return false;
      const Descriptor probe(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const Poco::Net::SocketAddress to("127.0.0.1", port_);
      if (::connect(probe.get(), to.addr(), to.length()) == 0) return true;
    }
    return false;
  }

 private:
  TestFolder folder_;
  std::uint16_t port_ = 0;
  pid_t process_ = -1;
};

}  // namespace

TEST_CASE("[conn-22] [F67] through tinyproxy: credentials open the tunnel, and TLS is verified as ever") {
  const Tinyproxy tinyproxy;
  REQUIRE(tinyproxy.listens());
  TlsServer server(for_names("DNS:localhost"), answer_pings);
  ProxiedDevice device;
  device.proxy.user = "hawser";
  device.proxy.password = "s3cret-word";
  SECTION("a name of its certificate") {
    if (::gethostbyname("localhost") == nullptr) {  // which tinyproxy asks libc for
      WARN("this system does not know localhost: /etc/hosts is missing");
      return;
    }
    auto stream = device.through(tinyproxy.port(), "localhost", server.port());
    INFO(words(stream));
    REQUIRE(stream);
    CHECK(say(**stream, "ping") == "pong");
    CHECK(device.steps == std::vector{DialStep::Resolving, DialStep::Resolved, DialStep::Connecting,
                                      DialStep::Connected, DialStep::Proxied, DialStep::Secured});
    CHECK(server.names().back() == "localhost");
  }
  SECTION("another name") {
    const auto stream = device.through(tinyproxy.port(), "127.0.0.1", server.port());
    CHECK(code(stream) == "tls_failed");
    CHECK(server.handshakes() == 0);
  }
  SECTION("a wrong password, and none") {
    device.proxy.password = "wrong";
    const auto wrong = device.through(tinyproxy.port(), "localhost", server.port());
    CHECK(code(wrong) == "proxy_auth_required");
    CHECK(words(wrong).find("127.0.0.1:" + std::to_string(tinyproxy.port())) != std::string::npos);
    device.proxy.user = "";
    CHECK(code(device.through(tinyproxy.port(), "localhost", server.port())) == "proxy_auth_required");
  }
  SECTION("a server that is not there") {
    const std::uint16_t closed = Listener::open().port;
    const auto stream = device.through(tinyproxy.port(), "localhost", closed);
    CHECK(code(stream) == "proxy_refused");
    CHECK(words(stream).find("refused CONNECT to localhost:" + std::to_string(closed) + " with 5") !=
          std::string::npos);
  }
}

TEST_CASE("[conn-22] HTTPS and WebSocket alike go through the tunnel") {
  const Certificate certificate = for_names("DNS:localhost");
  TlsServer server(certificate, [](Peer& peer) {
    const std::string request = peer.read_until("\r\n\r\n");
    const std::size_t at = request.find("Sec-WebSocket-Key: ");
    if (at == std::string::npos) return peer.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
    const std::string key = request.substr(at + 19, request.find("\r\n", at) - at - 19);
    peer.write("HTTP/1.1 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
               accept_for(key) + "\r\nSec-WebSocket-Protocol: hawser.main.v1\r\n\r\n");
    peer.drain();
  });
  ProxiedDevice device;
  {
    ScriptedProxy proxy(kTunnel, server.port());
    auto stream = device.through(proxy.port(), "localhost", server.port());
    REQUIRE(stream);
    const auto answer =
        exchange(**stream, device.waker, {"localhost", server.port()}, {"POST", "/x", "", {}, "{}"}, Clock::now() + 5s);
    REQUIRE(answer);
    CHECK(answer->body == "{}");
  }
  ScriptedProxy proxy(kTunnel, server.port());
  auto stream = device.through(proxy.port(), "localhost", server.port());
  REQUIRE(stream);
  const auto upgraded = upgrade(std::move(*stream), device.waker,
                                {{"localhost", server.port()}, "/x", "hawser.main.v1", "t", 1000}, Clock::now() + 5s);
  REQUIRE(upgraded);
  CHECK(upgraded->socket != nullptr);
}

TEST_CASE("[conn-22] the request names the target, and credentials stand in it only where a user is set") {
  ProxiedDevice device;
  SECTION("none") {
    ScriptedProxy proxy("HTTP/1.0 403 Forbidden\r\n\r\n");
    const auto stream = device.through(proxy.port(), "cloud.test", 19443);
    CHECK(words(stream) == "proxy_refused: proxy 127.0.0.1:" + std::to_string(proxy.port()) +
                               " refused CONNECT to cloud.test:19443 with 403 Forbidden: allow it there, or add the "
                               "name to no_proxy");
    CHECK(proxy.heard().starts_with("CONNECT cloud.test:19443 HTTP/1.1\r\nHost: cloud.test:19443\r\n"));
    CHECK(proxy.heard().find("Authorization") == std::string::npos);
  }
  SECTION("Basic, and no error holds the password") {
    ScriptedProxy proxy("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=x\r\n\r\n");
    device.proxy.user = "us\xc3\xa9r";
    device.proxy.password = "s3cret-word:with colon";
    const auto stream = device.through(proxy.port(), "2001:db8::1", 443);
    CHECK(code(stream) == "proxy_auth_required");
    CHECK(words(stream).find("s3cret") == std::string::npos);
    CHECK(proxy.heard().starts_with("CONNECT [2001:db8::1]:443 HTTP/1.1\r\n"));
    CHECK(proxy.heard().find("Proxy-Authorization: Basic " + base64("us\xc3\xa9r:s3cret-word:with colon") + "\r\n") !=
          std::string::npos);
  }
}

TEST_CASE("[conn-22] what a proxy may answer, and what is made of it") {
  struct Row {
    const char *what, *answer, *code, *words;
  };
  const std::string endless = "HTTP/1.1 200 OK\r\nX: " + std::string(17 * 1024, 'x');
  const Row rows[] = {
      {"HTTP/1.0", "HTTP/1.0 200 OK\r\nVia: x\r\n\r\n", "connected", ""},
      {"another 2xx", "HTTP/1.1 204 Fine\r\n\r\n", "connected", ""},
      {"an interim answer first", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "connected", ""},
      {"no reason", "HTTP/1.1 200\r\n\r\n", "connected", ""},
      {"a redirect", "HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n", "proxy_refused", "with 302 Found"},
      {"a failure", "HTTP/1.1 503 Busy\x1b[0m\r\n\r\n", "proxy_refused", "with 503 Busy"},
      {"a login of another kind", "HTTP/1.1 407 x\r\nProxy-Authenticate: NTLM\r\n\r\n", "proxy_auth_required",
       "another kind"},
      {"no HTTP", "SSH-2.0-OpenSSH\r\n\r\n", "proxy_refused", "no HTTP answer: \"SSH-2.0"},
      {"a status of two digits", "HTTP/1.1 20 OK\r\n\r\n", "proxy_refused", "no HTTP answer"},
      {"an older HTTP", "HTTP/0.9 200 OK\r\n\r\n", "proxy_refused", "no HTTP answer"},
      {"headers without end", endless.c_str(), "proxy_refused", "more than 16 KiB"},
      {"interim answers without end",
       "HTTP/1.1 100 a\r\n\r\nHTTP/1.1 100 a\r\n\r\nHTTP/1.1 100 a\r\n\r\nHTTP/1.1 100 a\r\n\r\nHTTP/1.1 100 "
       "a\r\n\r\n",
       "proxy_refused", "too many interim"},
      {"nothing", "", "proxy_refused", "without an answer"},
  };
  TlsServer server(for_names("DNS:localhost"), answer_pings);
  for (const Row& row : rows) {
    INFO(row.what);
    ProxiedDevice device;
    const bool tunnel = std::string(row.code) == "connected";
    ScriptedProxy proxy(row.answer, tunnel ? server.port() : std::uint16_t{0});
    const auto stream = device.through(proxy.port(), "localhost", server.port());
    CHECK(code(stream) == row.code);
    CHECK(words(stream).find(row.words) != std::string::npos);
    CHECK(words(stream).find('\x1b') == std::string::npos);
    if (!tunnel) CHECK(words(stream).find("proxy 127.0.0.1:") != std::string::npos);
  }
}

TEST_CASE("[conn-22] bytes that come with the proxy's answer belong to the tunnel") {
  ScriptedProxy proxy(kTunnel + "the first bytes of the tunnel");
  Waker waker;
  const StepLimit limit(5s, Clock::now() + 5s);
  auto connected = connect_any({Poco::Net::IPAddress("127.0.0.1")}, proxy.port(), waker, limit);
  REQUIRE(connected);
  REQUIRE(ask_tunnel(*connected, {"127.0.0.1", proxy.port(), "", "", {}}, {"cloud.test", 443}, waker, limit));
  pollfd ready{connected->socket.get(), POLLIN, 0};
  REQUIRE(::poll(&ready, 1, 5000) == 1);
  char buffer[100];
  const ssize_t got = ::recv(connected->socket.get(), buffer, sizeof buffer, 0);
  CHECK(std::string(buffer, static_cast<std::size_t>(got)) == "the first bytes of the tunnel");
}

TEST_CASE("[conn-22] [conn-21] a proxy that says nothing is given up at the limit, and a cancel ends the wait") {
  const Listener silent = Listener::open();
  Waker waker;
  const auto connect = [&] {
    return connect_any({Poco::Net::IPAddress("127.0.0.1")}, silent.port, waker, StepLimit(5s, Clock::now() + 5s));
  };
  const Proxy proxy{"127.0.0.1", silent.port, "", "", {}};
  auto connected = connect();
  REQUIRE(connected);
  const Status late = ask_tunnel(*connected, proxy, {"cloud.test", 443}, waker, StepLimit(50ms, Clock::now() + 5s));
  REQUIRE(!late);
  CHECK(late.error().code == "http_timeout");
  CHECK(late.error().message == "proxy 127.0.0.1:" + std::to_string(silent.port) + " did not answer CONNECT");
  const Status over = ask_tunnel(*connected, proxy, {"cloud.test", 443}, waker, StepLimit(5s, Clock::now() + 50ms));
  REQUIRE(!over);
  CHECK(over.error().code == "attempt_timeout");
  std::thread other([&] {
    ::poll(nullptr, 0, 20);
    waker.cancel();
  });
  const Status ended = ask_tunnel(*connected, proxy, {"cloud.test", 443}, waker, StepLimit(5s, Clock::now() + 5s));
  other.join();
  REQUIRE(!ended);
  CHECK(ended.error().code == "cancelled");
}

TEST_CASE("[conn-22] [F67] a proxy that is gone is proxy_refused, and named") {
  const std::uint16_t closed = Listener::open().port;
  ProxiedDevice device;
  const auto stream = device.through(closed, "cloud.test", 443);
  CHECK(code(stream) == "proxy_refused");
  CHECK(words(stream).find("proxy 127.0.0.1:" + std::to_string(closed) + ": ") != std::string::npos);
}

TEST_CASE("[conn-22] no_proxy: domains with all below them, addresses and ranges, or everything") {
  struct Row {
    const char *rule, *host;
    bool bypasses;
  };
  const Row rows[] = {
      {"example.com", "example.com", true},
      {"example.com", "www.Example.COM", true},
      {"example.com", "example.com.", true},
      {"example.com", "badexample.com", false},
      {".example.com", "www.example.com", true},
      {"*.example.com", "a.b.example.com", true},
      {"www.example.com", "example.com", false},
      {"10.0.0.1", "10.0.0.1", true},
      {"10.0.0.1", "10.0.0.10", false},
      {"10.0.0.0/8", "10.9.8.7", true},
      {"10.0.0.0/8", "11.0.0.1", false},
      {"10.0.0.0/33", "10.0.0.1", false},
      {"10.0.0.0/x", "10.0.0.1", false},
      {"fd00::/8", "fd12::1", true},
      {"fd00::/8", "10.0.0.1", false},
      {"::1", "0:0:0:0:0:0:0:1", true},
      {"*", "anything", true},
      {"", "example.com", false},
      {"0.1", "10.0.0.1", false},
  };
  for (const Row& row : rows) {
    INFO(row.rule << " and " << row.host);
    CHECK(bypasses({"proxy.test", 3128, "", "", {"first.test", row.rule}}, row.host) == row.bypasses);
  }
  CHECK(bypasses({}, "example.com"));
  TlsServer server(for_names("DNS:localhost"), answer_pings);
  ProxiedDevice device;
  device.proxy.no_proxy = {"localhost"};
  CHECK(words(device.through(9, "localhost", server.port())) == "connected");
}
