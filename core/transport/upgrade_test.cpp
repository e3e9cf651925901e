// The opening handshake, over TLS, against a scripted server.
#include <atomic>

#include "core/transport/conformance_cases.hpp"
#include "core/transport/test_frames.hpp"
#include "core/transport/test_tls_server.hpp"
#include "core/transport/upgrade_check.hpp"
#include "core/transport/websocket.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::transport;
using namespace hawser::transport::test;

namespace {

struct Device {
  Certificate authority = make_authority();
  Certificate leaf = issue(authority, {"leaf", "DNS:localhost"});
  TestFolder folder;
  Waker waker;
  Dialer dialer{DialSettings{folder.write("ca.pem", authority.certificate_pem()), {}}, waker};

  Result<Upgrade> ask(const TlsServer& server, milliseconds limit = 10s) {
    const Origin origin{"localhost", server.port()};
    auto stream = dialer.dial(origin, Clock::now() + 10s);
    if (!stream) return stream.error();
    return upgrade(std::move(*stream), waker, {origin, "/connect?x=1", "hawser.main.v1", "tok", kLimit},
                   Clock::now() + limit);
  }
};

std::string key_in(const std::string& request) {
  const std::string name = "\r\nSec-WebSocket-Key: ";
  const std::size_t at = request.find(name);
  return at == std::string::npos ? "" : request.substr(at + name.size(), 24);
}

// A proper 101; {accept} stands for the right value.
const std::string kGood =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: hawser.main.v1\r\n\r\n";

std::string replaced(std::string text, const std::string& what, const std::string& with) {
  const std::size_t at = text.find(what);
  if (at != std::string::npos) text.replace(at, what.size(), with);
  return text;
}

// Answers each upgrade with `answer` and reads on to the end.
TlsServer::Serve answering(const std::string& answer) {
  return [answer](Peer& peer) {
    const std::string key = key_in(peer.read_until("\r\n\r\n"));
    peer.write(replaced(answer, "{accept}", accept_for(key)));
    peer.drain();
  };
}

struct Ear : WebSocket::Listener {
  std::string heard;
  void on_text(std::string_view data) override { heard += data; }
  void on_binary(std::string_view data) override { heard += data; }
};

}  // namespace

TEST_CASE("the accept value is that of RFC 6455 section 1.3") {
  CHECK(accept_for("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

TEST_CASE("the request carries what section 4.1 asks for, and a new key each time") {
  Device device;
  std::vector<std::string> requests;
  {
    TlsServer server(device.leaf, [&](Peer& peer) {
      requests.push_back(peer.read_until("\r\n\r\n"));
      peer.write(replaced(kGood, "{accept}", accept_for(key_in(requests.back()))));
    });
    for (int i = 0; i < 2; ++i) REQUIRE(device.ask(server));
  }
  REQUIRE(requests.size() == 2);
  CHECK(requests[0].starts_with("GET /connect?x=1 HTTP/1.1\r\n"));
  for (const char* line :
       {"\r\nUpgrade: websocket\r\n", "\r\nConnection: Upgrade\r\n", "\r\nSec-WebSocket-Version: 13\r\n",
        "\r\nSec-WebSocket-Protocol: hawser.main.v1\r\n", "\r\nAuthorization: Bearer tok\r\n"}) {
    INFO(line);
    CHECK(requests[0].find(line) != std::string::npos);
  }
  CHECK(requests[0].find("Extensions") == std::string::npos);
  CHECK(key_in(requests[0]).size() == 24);
  CHECK(key_in(requests[0]) != key_in(requests[1]));
}

TEST_CASE("a 101 that fails a check is upgrade_refused and names the check; one in other words is taken") {
  struct Row {
    const char *what, *from, *to, *words;  // words: empty where it must be taken
  };
  const Row rows[] = {
      {"as it should be", "", "", ""},
      {"other case, more tokens", "Upgrade: websocket\r\nConnection: Upgrade",
       "upgrade: WebSocket\r\nconnection: keep-alive, UPGRADE", ""},
      {"two Connection lines", "Connection: Upgrade", "Connection: keep-alive\r\nConnection: Upgrade", ""},
      {"no reason", " Switching Protocols", "", ""},
      {"no Upgrade", "Upgrade: websocket\r\n", "", "not one \"Upgrade: websocket\""},
      {"two Upgrades", "Upgrade: websocket", "Upgrade: websocket\r\nUpgrade: websocket", "not one \"Upgrade"},
      {"another Upgrade", "Upgrade: websocket", "Upgrade: h2c", "not one \"Upgrade"},
      {"no Connection", "Connection: Upgrade\r\n", "", "no Upgrade in Connection"},
      {"a Connection of other tokens", "Connection: Upgrade", "Connection: keep-alive, upgraded",
       "no Upgrade in Connection"},
      {"no accept", "Sec-WebSocket-Accept: {accept}\r\n", "", "Sec-WebSocket-Accept"},
      {"a wrong accept", "{accept}", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", "Sec-WebSocket-Accept"},
      {"two accepts", "Sec-WebSocket-Protocol", "Sec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol",
       "Sec-WebSocket-Accept"},
      {"an extension", "Connection:", "Sec-WebSocket-Extensions: permessage-deflate\r\nConnection:", "extension"},
      {"no protocol", "Sec-WebSocket-Protocol: hawser.main.v1\r\n", "", "Sec-WebSocket-Protocol"},
      {"another protocol", "hawser.main.v1", "hawser.main.v2", "Sec-WebSocket-Protocol"},
      {"two protocols", "hawser.main.v1", "hawser.main.v1\r\nSec-WebSocket-Protocol: hawser.main.v1",
       "Sec-WebSocket-Protocol"},
      {"a body", "Connection:", "Content-Length: 5\r\nConnection:", "a body was announced"},
  };
  Device device;
  for (const Row& row : rows) {
    INFO(row.what);
    TlsServer server(device.leaf, answering(replaced(kGood, row.from, row.to)));
    const auto result = device.ask(server);
    if (*row.words == '\0') {
      INFO((result ? "" : result.error().message));
      REQUIRE(result);
      CHECK(result->socket != nullptr);
      CHECK(result->answer.status == 101);
    } else {
      REQUIRE(!result);
      CHECK(result.error().code == "upgrade_refused");
      CHECK(result.error().message.find(row.words) != std::string::npos);
    }
  }
}

TEST_CASE("a malformed answer to an upgrade is bad_response") {
  Device device;
  const std::string answer =
      GENERATE(as<std::string>{}, "HTTP/1.0 101 Switching Protocols\r\n\r\n", "HTTP/1.1 101\r\n folded\r\n\r\n",
               "HTTP/1.1 101 x\r\nnonsense\r\n\r\n", "HTTP/1.1 102 Processing\r\n\r\n", "\x82\x00");
  INFO(answer);
  TlsServer server(device.leaf, answering(answer));
  const auto result = device.ask(server);
  REQUIRE(!result);
  CHECK(result.error().code == "bad_response");
}

TEST_CASE("another status is handed on with its headers and body, and no socket") {
  Device device;
  TlsServer server(device.leaf, answering("HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n{}"));
  const auto result = device.ask(server);
  REQUIRE(result);
  CHECK(result->socket == nullptr);
  CHECK(result->answer.status == 503);
  CHECK(result->answer.body == "{}");
  CHECK(retry_after(result->answer) == std::chrono::seconds(7));
}

TEST_CASE("[conn-21] an upgrade that is not answered is http_timeout") {
  Device device;
  TlsServer server(device.leaf, [](Peer& peer) { peer.drain(); });
  const auto result = device.ask(server, 100ms);
  REQUIRE(!result);
  CHECK(result.error().code == "http_timeout");
}

TEST_CASE("frames in the same segment as the 101 are delivered at once") {
  Device device;
  TlsServer server(device.leaf, answering(kGood + frame(0x81, "wel") + frame(0x81, "come")));
  auto result = device.ask(server);
  REQUIRE(result);
  REQUIRE(result->socket);
  Ear ear;
  result->socket->turn(ear, Clock::now() + 5s);
  CHECK(ear.heard == "welcome");
}

TEST_CASE("[F45] a server that is cut off in the middle of a message: 1006, and the part of it is dropped") {
  Device device;
  TlsServer server(device.leaf, [](Peer& peer) {
    const std::string key = key_in(peer.read_until("\r\n\r\n"));
    const std::string partial = frame(0x81, "never to be seen");
    peer.write(replaced(kGood, "{accept}", accept_for(key)) + frame(0x81, "whole") +
               partial.substr(0, partial.size() - 1));
    peer.cut();
  });
  auto result = device.ask(server);
  REQUIRE(result);
  REQUIRE(result->socket);
  Ear ear;
  const TimePoint limit = Clock::now() + 10s;
  while (result->socket->turn(ear, limit) == WebSocket::Turn::Open) REQUIRE(Clock::now() < limit);
  CHECK(ear.heard == "whole");
  CHECK(result->socket->closing().code == 1006);
  CHECK(result->socket->closing().error == "peer_closed");
  CHECK(result->socket->closing().detail.find("without close_notify") != std::string::npos);
}

TEST_CASE("every case of the table comes out right over TLS, whole and byte by byte") {
  Device device;
  const bool bytewise = GENERATE(false, true);
  std::atomic<std::size_t> next{0};
  std::string sent_back;  // what the client sent, per case; read after the case is over
  std::atomic<bool> served{false};
  TlsServer server(device.leaf, [&](Peer& peer) {
    const std::string key = key_in(peer.read_until("\r\n\r\n"));
    std::string bytes = replaced(kGood, "{accept}", accept_for(key));
    for (const std::string& piece : conformance_cases()[next].pieces) bytes += piece;
    bytes += frame(0x88, std::string("\x03\xe8", 2));  // so that every case ends; ignored after a fault or a Close
    if (bytewise)
      for (const char c : bytes) peer.write({c});
    else
      peer.write(bytes);
    sent_back.clear();
    for (std::string more; !(more = peer.read_some()).empty();) sent_back += more;
    served = true;
  });
  for (; next < conformance_cases().size(); ++next) {
    const ConformanceCase& row = conformance_cases()[next];
    std::size_t size = 0;
    for (const std::string& piece : row.pieces) size += piece.size();
    if (bytewise && size > 2000) continue;                      // a record for each byte of 1 MiB tells nothing new
    if (row.name.find("waits") != std::string::npos) continue;  // the Close would fall into the unfinished frame
    INFO("RFC 6455 section " << row.section << ": " << row.name << (bytewise ? ", byte by byte" : ""));
    served = false;
    auto result = device.ask(server);
    REQUIRE(result);
    REQUIRE(result->socket);
    struct : WebSocket::Listener {
      std::vector<std::string> events;
      void on_text(std::string_view data) override { events.push_back(event_text("text", data)); }
      void on_binary(std::string_view data) override { events.push_back(event_text("binary", data)); }
      void on_pong(std::string_view data) override { events.push_back(event_text("pong", data)); }
    } ear;
    const TimePoint limit = Clock::now() + 10s;
    while (result->socket->turn(ear, limit) == WebSocket::Turn::Open) REQUIRE(Clock::now() < limit);
    std::vector<std::string> expected;  // pings and Closes are the loop's own affair
    for (const std::string& event : row.events)
      if (!event.starts_with("ping") && !event.starts_with("close")) expected.push_back(event);
    CHECK(ear.events == expected);
    if (row.fault != 0) {
      CHECK(result->socket->closing().code == row.fault);
      CHECK(!result->socket->closing().by_peer);
    }
    result->socket.reset();
    while (!served) std::this_thread::yield();
    const auto frames = frames_of(sent_back);
    REQUIRE(!frames.empty());
    CHECK(frames.back().first == 0x88);
    if (row.fault != 0)
      CHECK(frames.back().payload.substr(0, 2) ==
            std::string{static_cast<char>(row.fault >> 8), static_cast<char>(row.fault & 0xFF)});
  }
}
