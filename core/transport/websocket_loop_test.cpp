// The WebSocket's loop over a socket pair: closing, limits, coalescing, pausing.
#include "core/transport/websocket_loop.hpp"

#include <thread>

#include "core/transport/conformance_cases.hpp"
#include "core/transport/test_frames.hpp"
#include "core/transport/test_plain_stream.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::transport;
using namespace hawser::transport::test;

namespace {

struct Ear : WebSocket::Listener {
  std::vector<std::string> heard;
  std::function<void(std::string_view)> then;  // called for each message
  void on_text(std::string_view data) override { note("text", data); }
  void on_binary(std::string_view data) override { note("binary", data); }
  void on_pong(std::string_view data) override { heard.push_back("pong " + std::string(data)); }
  void note(const std::string& kind, std::string_view data) {
    heard.push_back(kind + " " + std::string(data));
    if (then) then(data);
  }
};

struct Line {
  explicit Line(WebSocketLimits limits = {}, int buffer_bytes = 0, std::string early = {})
      : pair(Pair::make(buffer_bytes)),
        plain(pair.stream.get()),
        socket(std::move(pair.stream), waker, kLimit, std::move(early), limits) {}

  Waker waker;
  Pair pair;
  PlainStream* plain;
  WebSocketLoop socket;
  Ear ear;

  WebSocket::Turn turn(milliseconds wait = 0ms) { return socket.turn(ear, Clock::now() + wait); }
  // Turns until it is over, for at most ten seconds.
  bool ends() {
    const TimePoint limit = Clock::now() + 10s;
    while (Clock::now() < limit)
      if (turn(100ms) == WebSocket::Turn::Closed) return true;
    return false;
  }
};

std::string code(int number) { return {static_cast<char>(number >> 8), static_cast<char>(number & 0xFF)}; }

}  // namespace

TEST_CASE("messages and pongs reach the listener, pings are answered, the newest only") {
  Line line;
  line.pair.say(frame(0x81, "one") + frame(0x89, "1") + frame(0x82, "two") + frame(0x89, "2") + frame(0x8A, "mine"));
  CHECK(line.turn() == WebSocket::Turn::Open);
  CHECK(line.ear.heard == std::vector<std::string>{"text one", "binary two", "pong mine"});
  CHECK(frames_of(line.pair.hear()) == std::vector{Frame{0x8A, "2"}});
}

TEST_CASE("bytes that came behind the 101 are told in the first turn, also when nothing follows") {
  Line line({}, 0, frame(0x81, "early") + "\x81");
  line.turn();
  CHECK(line.ear.heard == std::vector<std::string>{"text early"});
  line.pair.say("\x04late");
  line.turn();
  CHECK(line.ear.heard.back() == "text late");
}

TEST_CASE("a thousand small messages go out in a few records, in order, and one turn is enough") {
  Line line;
  for (int i = 0; i < 1000; ++i) line.socket.send_binary("h", std::string(63, 'x'));
  CHECK(line.socket.queued_bytes() == 70 * 1000);
  line.turn();
  CHECK(line.socket.queued_bytes() == 0);
  CHECK(line.plain->writes.size() == 5);
  CHECK(frames_of(line.pair.hear()).size() == 1000);
}

TEST_CASE("what the listener sends from inside goes out in the same turn") {
  Line line;
  line.ear.then = [&](std::string_view data) { line.socket.send_text(std::string("echo ") + std::string(data)); };
  line.pair.say(frame(0x81, "a"));
  line.turn();
  CHECK(frames_of(line.pair.hear()) == std::vector{Frame{0x81, "echo a"}});
}

TEST_CASE("a turn that heard something does not wait for more; a wake-up ends one that waits") {
  Line line;
  line.pair.say(frame(0x81, "a"));
  const TimePoint begin = Clock::now();
  line.turn(10s);
  CHECK(line.ear.heard.size() == 1);
  std::thread other([&] { line.waker.wake(); });
  line.turn(10s);
  other.join();
  CHECK(Clock::now() - begin < 5s);
}

TEST_CASE("our Close follows what was queued, and the end comes with the peer's Close and the end of TCP") {
  Line line;
  line.socket.send_text("last words");
  line.socket.close(1000, "normal");
  line.socket.send_text("too late");
  line.socket.ping("too late");
  CHECK(line.turn() == WebSocket::Turn::Open);
  CHECK(frames_of(line.pair.hear()) == std::vector{Frame{0x81, "last words"}, Frame{0x88, code(1000) + "normal"}});
  line.pair.say(frame(0x81, "still heard") + frame(0x88, code(1000)));
  CHECK(line.turn() == WebSocket::Turn::Open);
  CHECK(line.ear.heard == std::vector<std::string>{"text still heard"});
  CHECK(line.pair.peer_sees_end());  // our half of the connection is ended first
  line.pair.peer.reset();
  CHECK(line.ends());
  CHECK(line.socket.closing().code == 1000);
  CHECK(!line.socket.closing().by_peer);
  CHECK(line.socket.closing().error == "normal");
  CHECK(line.socket.closing().detail.empty());
}

TEST_CASE("the peer's Close is answered once with its code, unsent messages are dropped, and its reason is told") {
  Line line;
  line.pair.say(frame(0x88, code(1012) + "restart\ning") + frame(0x81, "ignored"));
  line.socket.send_text("sent");
  CHECK(line.turn() == WebSocket::Turn::Open);
  const auto sent = frames_of(line.pair.hear());
  REQUIRE(!sent.empty());
  CHECK(sent.back() == Frame{0x88, code(1012)});
  line.socket.close(1000, "");
  line.turn();
  CHECK(line.pair.hear().empty());
  line.pair.peer.reset();
  CHECK(line.ends());
  CHECK(line.ear.heard.empty());
  const Closing& why = line.socket.closing();
  CHECK(why.code == 1012);
  CHECK(why.by_peer);
  CHECK(why.error == "restarting");
  CHECK(why.reason == "restart\\x0aing");
}

TEST_CASE("Closes of the peer have the names of the protocol") {
  const auto told = [](const std::string& payload) {
    Line line;
    line.pair.say(frame(0x88, payload));
    line.turn();
    return std::to_string(line.socket.closing().code) + " " + line.socket.closing().error;
  };
  CHECK(told(code(1000)) == "1000 normal");
  CHECK(told(code(4001)) == "4001 token_withdrawn");
  CHECK(told(code(4008)) == "4008 hang_up");
  CHECK(told(code(4008) + "keepalive_expired") == "4008 keepalive_expired");
  CHECK(told(code(3999)) == "3999 peer_closed");
  CHECK(told("") == "1005 peer_closed");
}

TEST_CASE("an end without a Close is 1006 peer_closed") {
  Line line;
  line.pair.peer.reset();
  CHECK(line.ends());
  CHECK(line.socket.closing().code == 1006);
  CHECK(line.socket.closing().error == "peer_closed");
  CHECK(line.socket.closing().by_peer);
  CHECK(line.turn() == WebSocket::Turn::Closed);  // and it stays so
}

TEST_CASE("every fault of the table ends the WebSocket with its close code, and what came before it is told") {
  for (const ConformanceCase& row : conformance_cases()) {
    std::string bytes;
    for (const std::string& piece : row.pieces) bytes += piece;
    if (row.fault == 0 || bytes.size() > 100'000) continue;
    INFO(row.section << ": " << row.name);
    Line line;
    line.pair.say(bytes);
    line.turn();
    const auto sent = frames_of(line.pair.hear());
    REQUIRE(!sent.empty());
    CHECK(sent.back() == Frame{0x88, code(row.fault) + close_name(static_cast<std::uint16_t>(row.fault))});
    std::size_t messages = 0;
    for (const std::string& event : row.events) messages += event.starts_with("text") || event.starts_with("binary");
    std::size_t heard = 0;
    for (const std::string& event : line.ear.heard) heard += !event.starts_with("pong");
    CHECK(heard == messages);
    CHECK(line.pair.peer_sees_end());
    line.pair.peer.reset();
    CHECK(line.ends());
    CHECK(line.socket.closing().code == row.fault);
    CHECK(!line.socket.closing().by_peer);
    CHECK(!line.socket.closing().detail.empty());
  }
}

TEST_CASE("[conn-21] a peer that does not answer our Close is left after the close limit") {
  Line line({50ms, kFrameLimit, kWriteLimit});
  line.socket.close(1001, "going_away");
  const TimePoint begin = Clock::now();
  CHECK(line.ends());
  CHECK(Clock::now() - begin >= 50ms);
  CHECK(Clock::now() - begin < 5s);
  CHECK(line.socket.closing().code == 1001);
  CHECK(line.socket.closing().detail == "the peer did not end the connection in time");
}

TEST_CASE("[conn-21] so is one that takes nothing of our queue") {
  Line line({50ms, kFrameLimit, kWriteLimit}, 4096);
  line.socket.send_binary("", std::string(3'000'000, 'x'));
  line.socket.close(1001, "going_away");
  CHECK(line.ends());
  CHECK(line.socket.closing().code == 1001);
}

TEST_CASE("[conn-21] output that the peer does not take for too long is a hang-up") {
  Line line({kCloseLimit, kFrameLimit, 50ms}, 4096);
  line.socket.send_binary("", std::string(3'000'000, 'x'));
  CHECK(line.ends());
  CHECK(line.socket.closing().code == 1006);
  CHECK(line.socket.closing().error == "hang_up");
}

TEST_CASE("[conn-21] a frame that trickles is cut off, however often a byte comes") {
  Line line({20ms, 100ms, kWriteLimit});
  line.pair.say(std::string("\x82\x7e\x10\x00", 4));
  const TimePoint begin = Clock::now();
  while (line.turn(5ms) == WebSocket::Turn::Open && Clock::now() - begin < 5s) {
    if (line.socket.closing().error.empty()) line.pair.say("x");
    line.turn();  // hears it
  }
  CHECK(line.socket.closing().code == 4008);
  CHECK(line.socket.closing().error == "hang_up");
  CHECK(line.ear.heard.empty());
}

TEST_CASE("frames that each come in time are never cut off, however long their message takes") {
  Line line({kCloseLimit, 200ms, kWriteLimit});
  line.pair.say(frame(0x01, "a"));
  const TimePoint begin = Clock::now();
  while (Clock::now() - begin < 400ms) {
    line.pair.say(frame(0x00, "b"));
    REQUIRE(line.turn(10ms) == WebSocket::Turn::Open);  // hears it
    REQUIRE(line.turn(10ms) == WebSocket::Turn::Open);  // waits
  }
  line.pair.say(frame(0x80, "c"));
  line.turn();
  CHECK(line.ear.heard.size() == 1);
}

TEST_CASE("above the high-water mark writable() is false and nothing more is read, below it both go on") {
  Line line({}, 4096);
  line.ear.then = [&](std::string_view) { line.socket.send_binary("", std::string(700'000, 'x')); };
  line.pair.say(frame(0x81, "1") + frame(0x81, "2"));
  line.turn();
  CHECK(line.ear.heard.size() == 2);
  CHECK(!line.socket.writable());
  line.pair.say(frame(0x81, "3"));
  for (int i = 0; i < 5; ++i) line.turn(5ms);
  CHECK(line.ear.heard.size() == 2);
  for (int i = 0; i < 10'000 && line.ear.heard.size() < 3; ++i) {
    line.pair.hear();
    line.turn(1ms);
  }
  CHECK(line.ear.heard.size() == 3);
}

TEST_CASE("a turn that makes room below the high-water mark does not wait: the caller has more to send") {
  Line line;
  line.socket.send_binary("", std::string(4 * kOutputHighWater, 'x'));
  const std::size_t before = line.socket.queued_bytes();
  line.turn();
  const std::size_t one_turn = before - line.socket.queued_bytes();  // as much as the kernel takes unread
  for (; line.socket.queued_bytes() > 0; line.turn()) line.pair.hear();
  line.pair.hear();
  line.socket.send_binary("", std::string(kOutputHighWater + one_turn / 2, 'x'));
  REQUIRE(!line.socket.writable());
  const TimePoint begin = Clock::now();
  line.turn(20s);
  CHECK(line.socket.writable());
  CHECK(line.socket.queued_bytes() > 0);
  CHECK(Clock::now() - begin < 10s);
}

TEST_CASE("a paused WebSocket waits without spinning") {
  Line line({}, 4096);
  line.socket.send_binary("", std::string(2'000'000, 'x'));
  line.turn();
  REQUIRE(!line.socket.writable());
  line.pair.say(frame(0x81, "unread"));
  int turns = 0;
  for (const TimePoint until = Clock::now() + 100ms; Clock::now() < until; ++turns) line.socket.turn(line.ear, until);
  CHECK(turns < 20);
}

TEST_CASE("a peer that sends without end does not keep a turn from returning") {
  Line line;
  std::atomic<bool> stop{false};
  std::thread flood([&] {
    const std::string frames(64 * 1024, '\0');
    std::string pings;
    for (int i = 0; i < 1000; ++i) pings += frame(0x82, std::string(50, 'x'));
    while (!stop) {
      pollfd ready{line.pair.peer.get(), POLLOUT, 0};
      if (::poll(&ready, 1, 10) == 1) ::send(line.pair.peer.get(), pings.data(), pings.size(), MSG_DONTWAIT);
    }
  });
  const TimePoint begin = Clock::now();
  for (int i = 0; i < 20; ++i) line.turn(1s);
  CHECK(Clock::now() - begin < 5s);
  stop = true;
  flood.join();
}

TEST_CASE("last_inbound moves with every byte and only with them") {
  Line line;
  const TimePoint start = line.socket.last_inbound();
  line.turn(2ms);
  CHECK(line.socket.last_inbound() == start);
  line.pair.say("\x81");
  line.turn(2ms);
  CHECK(line.socket.last_inbound() > start);
}
