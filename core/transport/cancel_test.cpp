// Waker::cancel() from another thread ends each wait of the transport at once.
#include <thread>

#include "core/transport/connector.hpp"
#include "core/transport/resolver.hpp"
#include "core/transport/test_name_server.hpp"
#include "core/transport/test_tls_server.hpp"
#include "core/transport/upgrade_check.hpp"
#include "core/transport/websocket.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::transport;
using namespace hawser::transport::test;

namespace {

// Runs `wait` while another thread cancels it once it is likely to wait; gives back how long it went on after that.
template <typename Wait>
milliseconds time_after_cancel(Waker& waker, Wait wait) {
  TimePoint cancelled_at;
  std::thread other([&] {
    ::poll(nullptr, 0, 50);  // nothing tells that a thread has begun to wait; too early is tested as well
    cancelled_at = Clock::now();
    waker.cancel();
  });
  wait();
  const TimePoint end = Clock::now();
  other.join();
  return std::chrono::duration_cast<milliseconds>(end - cancelled_at);
}

struct Device {
  Certificate authority = make_authority();
  Certificate leaf = issue(authority, {"leaf", "DNS:localhost"});
  TestFolder folder;
  Waker waker;
  Dialer dialer{DialSettings{folder.write("ca.pem", authority.certificate_pem()), {}}, waker};
};

constexpr milliseconds kAtOnce = 1000ms;  // generous for a loaded machine; every limit below is longer

}  // namespace

TEST_CASE("[conn-21] a cancel ends the look-up of a name") {
  const NameServer silent([](const std::string&, int) { return NameServer::Answer{.swallow = true}; });
  Waker waker;
  const auto look_up = [&] {
    const auto result = resolve("cloud.test", waker, StepLimit(5s, Clock::now() + 60s), {}, silent.address());
    return result ? "found" : result.error().code;
  };
  std::string code;
  const auto late = time_after_cancel(waker, [&] { code = look_up(); });
  CHECK(code == "cancelled");
  CHECK(late < kAtOnce);
  CHECK(look_up() == "cancelled");  // it stands until rearm()
}

TEST_CASE("[conn-21] a cancel ends connecting") {
  const Listener full = Listener::open(0);
  const auto fillers = full.fill();
  Waker waker;
  Result<Connected> result = Error{"", ""};
  const auto late = time_after_cancel(waker, [&] {
    result = connect_any({Poco::Net::IPAddress("127.0.0.1")}, full.port, waker, StepLimit(10s, Clock::now() + 60s));
  });
  REQUIRE(!result);
  CHECK(result.error().code == "cancelled");
  CHECK(late < kAtOnce);
}

TEST_CASE("[conn-21] a cancel ends the TLS handshake") {
  const Listener silent = Listener::open();
  Device device;
  Result<std::unique_ptr<Stream>> result = Error{"", ""};
  const auto late = time_after_cancel(device.waker, [&] {
    result = device.dialer.dial({"127.0.0.1", silent.port}, Clock::now() + 60s);
  });
  REQUIRE(!result);
  CHECK(result.error().code == "cancelled");
  CHECK(late < kAtOnce);
}

TEST_CASE("[conn-21] a cancel ends a request and an upgrade that wait for their answer") {
  Device device;
  TlsServer server(device.leaf, [](Peer& peer) { peer.drain(); });
  const Origin origin{"localhost", server.port()};
  auto stream = device.dialer.dial(origin, Clock::now() + 10s);
  REQUIRE(stream);
  std::string code;
  const bool plain = GENERATE(true, false);
  const auto late = time_after_cancel(device.waker, [&] {
    if (plain) {
      const auto answer = exchange(**stream, device.waker, origin, {"GET", "/", "", {}, ""}, Clock::now() + 60s);
      code = answer ? "answered" : answer.error().code;
    } else {
      const auto answer = upgrade(std::move(*stream), device.waker, {origin, "/", "p", "", 1000}, Clock::now() + 60s);
      code = answer ? "answered" : answer.error().code;
    }
  });
  CHECK(code == "cancelled");
  CHECK(late < kAtOnce);
}

TEST_CASE("[conn-21] a cancel ends a turn of the WebSocket, which stays open for its farewell") {
  Device device;
  TlsServer server(device.leaf, [](Peer& peer) {
    const std::string request = peer.read_until("\r\n\r\n");
    const std::string name = "Sec-WebSocket-Key: ";
    const std::string key = request.substr(request.find(name) + name.size(), 24);
    peer.write(
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: p\r\n"
        "Sec-WebSocket-Accept: " +
        accept_for(key) + "\r\n\r\n");
    peer.read_some();
    peer.write(std::string("\x88\x02\x03\xe8"));
    peer.close_notify();
    peer.drain();
  });
  const Origin origin{"localhost", server.port()};
  auto stream = device.dialer.dial(origin, Clock::now() + 10s);
  REQUIRE(stream);
  auto opened = upgrade(std::move(*stream), device.waker, {origin, "/", "p", "", 1000}, Clock::now() + 10s);
  REQUIRE(opened);
  REQUIRE(opened->socket);
  struct : WebSocket::Listener {
    void on_text(std::string_view) override {}
    void on_binary(std::string_view) override {}
  } ear;
  WebSocket& socket = *opened->socket;
  socket.turn(ear, Clock::now());
  WebSocket::Turn turn = WebSocket::Turn::Closed;
  const auto late = time_after_cancel(device.waker, [&] { turn = socket.turn(ear, Clock::now() + 60s); });
  CHECK(late < kAtOnce);
  CHECK(turn == WebSocket::Turn::Open);
  CHECK(device.waker.cancelled());
  socket.close(1000, "normal");
  const TimePoint limit = Clock::now() + 10s;
  int turns = 0;
  while (socket.turn(ear, limit) == WebSocket::Turn::Open && Clock::now() < limit) ++turns;
  CHECK(socket.closing().detail.empty());  // the peer's Close was waited for, though the cancel stands
  CHECK(turns < 50);
}
