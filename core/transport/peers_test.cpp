// WebSockets to servers of other hands: node's ws and python3-websockets, over TLS on 127.0.0.1.
#include "core/transport/test_certificates.hpp"
#include "core/transport/test_program.hpp"
#include "core/transport/websocket.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::transport;
using namespace hawser::transport::test;

namespace {

struct Ear : WebSocket::Listener {
  std::vector<std::string> heard;
  std::size_t bytes = 0;
  void on_text(std::string_view data) override { note("text ", data); }
  void on_binary(std::string_view data) override { note("binary ", data); }
  void on_pong(std::string_view data) override { note("pong ", data); }
  void note(const char* kind, std::string_view data) {
    heard.push_back(kind + std::string(data));
    bytes += data.size();
  }
};

// A device, an echo server of the named kind, and the WebSocket between them.
struct Call {
  explicit Call(const std::string& kind)
      : server(kind == "node" ? node_ws_echo(certificate, key) : python_websockets_echo(certificate, key),
               {"NODE_PATH=/usr/share/nodejs"}) {
    origin.port = static_cast<std::uint16_t>(std::stoi("0" + server.line()));
    REQUIRE(origin.port != 0);
    dial();
  }

  void dial() {
    auto stream = dialer.dial(origin, Clock::now() + 10s);
    INFO((stream ? "" : stream.error().message));
    REQUIRE(stream);
    resumed = (*stream)->session_was_resumed();
    auto result =
        upgrade(std::move(*stream), waker, {origin, "/", "hawser.main.v1", "token", 4 << 20}, Clock::now() + 10s);
    INFO((result ? "" : result.error().message));
    REQUIRE(result);
    REQUIRE(result->socket);
    socket = std::move(result->socket);
  }

  // Turns until `enough`, at most ten seconds.
  bool until(const std::function<bool()>& enough) {
    const TimePoint limit = Clock::now() + 10s;
    while (!enough() && Clock::now() < limit)
      if (socket->turn(ear, limit) == WebSocket::Turn::Closed) return enough();
    return enough();
  }
  bool ends() {
    const TimePoint limit = Clock::now() + 10s;
    while (Clock::now() < limit)
      if (socket->turn(ear, limit) == WebSocket::Turn::Closed) return true;
    return false;
  }

  Certificate authority = make_authority();
  Certificate leaf = issue(authority, {"leaf", "DNS:localhost"});
  TestFolder folder;
  std::string certificate = folder.write("leaf.pem", leaf.certificate_pem()),
              key = folder.write("leaf.key", leaf.key_pem());
  Waker waker;
  Dialer dialer{DialSettings{folder.write("ca.pem", authority.certificate_pem()), {}}, waker};
  Program server;
  Origin origin{"localhost", 0};
  std::unique_ptr<WebSocket> socket;
  Ear ear;
  bool resumed = false;
};

}  // namespace

TEST_CASE("node's ws and python3-websockets echo every size and kind of message unchanged") {
  const std::string kind = GENERATE("node", "python");
  INFO(kind);
  Call call(kind);
  std::vector<std::string> expected;
  for (const std::size_t size : {0u, 1u, 125u, 126u, 127u, 65535u, 65536u, 65537u, 200'000u, 1'048'576u}) {
    std::string data(size, '\0');
    for (std::size_t i = 0; i < size; ++i) data[i] = static_cast<char>(i % 256);
    call.socket->send_binary(std::string_view(data).substr(0, std::min<std::size_t>(9, size)),
                             std::string_view(data).substr(std::min<std::size_t>(9, size)));
    expected.push_back("binary " + data);
    const std::string text(size, 'z');
    call.socket->send_text(text);
    expected.push_back("text " + text);
  }
  call.socket->send_text("\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5");
  expected.push_back("text \xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5");
  CHECK(call.until([&] { return call.ear.heard.size() >= expected.size(); }));
  CHECK((call.ear.heard == expected));
}

TEST_CASE("ten thousand small messages come back in order") {
  const std::string kind = GENERATE("node", "python");
  INFO(kind);
  Call call(kind);
  for (int i = 0; i < 10'000; ++i) call.socket->send_text(std::to_string(i));
  CHECK(call.until([&] { return call.ear.heard.size() >= 10'000; }));
  bool in_order = call.ear.heard.size() == 10'000;
  for (std::size_t i = 0; i < call.ear.heard.size() && in_order; ++i)
    in_order = call.ear.heard[i] == "text " + std::to_string(i);
  CHECK(in_order);
}

TEST_CASE("pings go both ways, in the middle of a long message too") {
  const std::string kind = GENERATE("node", "python");
  INFO(kind);
  Call call(kind);
  call.socket->send_text("ping");
  CHECK(call.until([&] { return call.ear.heard.size() >= 1; }));
  CHECK(call.ear.heard[0] == "text ponged marco");
  call.ear.heard.clear();
  call.socket->send_binary("", std::string(1'000'000, 'x'));
  call.socket->ping("polo");
  CHECK(call.until([&] { return call.ear.heard.size() >= 2; }));
  CHECK(call.ear.heard[0] == "pong polo");
  CHECK(call.ear.heard[1].size() == 1'000'007);
}

TEST_CASE("both ways of closing come to an orderly end at once, and the next dial resumes the session") {
  const std::string kind = GENERATE("node", "python");
  INFO(kind);
  Call call(kind);
  CHECK(!call.resumed);
  call.socket->send_text("close");
  CHECK(call.ends());
  CHECK(call.socket->closing().code == 4010);
  CHECK(call.socket->closing().reason == "unbound");
  CHECK(call.socket->closing().error == "unbound");
  CHECK(call.socket->closing().by_peer);
  call.dial();
  CHECK(call.resumed);
  call.socket->send_text("last");
  call.socket->close(1000, "normal");
  const TimePoint begin = Clock::now();
  CHECK(call.ends());
  CHECK(Clock::now() - begin < 1s);  // not by running into kCloseLimit
  CHECK(call.socket->closing().code == 1000);
  CHECK(!call.socket->closing().by_peer);
  CHECK(call.socket->closing().detail.empty());
}
