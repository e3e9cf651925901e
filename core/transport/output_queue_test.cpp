// What is offered to the socket, and in which order.
#include "core/transport/output_queue.hpp"

#include <random>
#include <vector>

#include "core/transport/test_frames.hpp"
#include "tests/catch.hpp"

using namespace hawser::transport;
using hawser::transport::test::Frame;
using hawser::transport::test::frames_of;

namespace {

std::string drain(OutputQueue& queue) {
  std::string all;
  while (!queue.empty()) {
    const std::string_view offered = queue.offer();
    REQUIRE(!offered.empty());
    REQUIRE(offered.size() <= kRecordBytes);
    all += offered;
    queue.consume(offered.size());
  }
  CHECK(queue.offer().empty());
  return all;
}

}  // namespace

TEST_CASE("small messages are gathered into records of 16 KiB") {
  OutputQueue queue;
  for (int i = 0; i < 1000; ++i) queue.message(Opcode::Binary, "head", std::string(60, 'x'));
  CHECK(queue.bytes() == 1000 * 70);
  CHECK(queue.offer().size() == kRecordBytes);
  const auto frames = frames_of(drain(queue));
  REQUIRE(frames.size() == 1000);
  CHECK(frames[999] == Frame{0x82, "head" + std::string(60, 'x')});
}

TEST_CASE("a message over 64 KiB goes in fragments of at most 64 KiB") {
  OutputQueue queue;
  std::string body(200'000, '\0');
  for (std::size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>(i % 253);
  queue.message(Opcode::Binary, "123456789", body);
  const auto frames = frames_of(drain(queue));
  REQUIRE(frames.size() == 4);
  CHECK(frames[0].first == 0x02);
  CHECK(frames[1].first == 0x00);
  CHECK(frames[2].first == 0x00);
  CHECK(frames[3].first == 0x80);
  std::string joined;
  for (const Frame& frame : frames) {
    CHECK(frame.payload.size() <= kFrameBytesMax);
    joined += frame.payload;
  }
  CHECK(joined == "123456789" + body);
}

TEST_CASE("an empty message and one of exactly 64 KiB are one frame each") {
  OutputQueue queue;
  queue.message(Opcode::Text, "", "");
  queue.message(Opcode::Binary, "", std::string(kFrameBytesMax, 'x'));
  const auto frames = frames_of(drain(queue));
  REQUIRE(frames.size() == 2);
  CHECK(frames[0] == Frame{0x81, ""});
  CHECK(frames[1].first == 0x82);
}

TEST_CASE("a pong goes between two frames, never into one, and only the newest is sent") {
  OutputQueue queue;
  queue.message(Opcode::Binary, "", std::string(150'000, 'x'));  // three frames
  queue.offer();
  queue.consume(1000);  // the first one is on its way
  queue.pong("old");
  queue.pong("new");
  std::string rest = "(first 1000 bytes)";
  rest = drain(queue);
  // The rest of the first frame, then the pong, then the other two.
  const std::size_t first_left = frame_bytes(kFrameBytesMax) - 1000;
  const auto frames = frames_of(rest.substr(first_left));
  REQUIRE(frames.size() == 3);
  CHECK(frames[0] == Frame{0x8A, "new"});
  CHECK(frames[1].first == 0x00);
  CHECK(frames[2].first == 0x80);
}

TEST_CASE("what was offered stays the same until it was consumed, whatever is queued meanwhile") {
  OutputQueue queue;
  queue.message(Opcode::Binary, "", std::string(3000, 'x'));
  const std::string offered(queue.offer());
  queue.pong("p");
  for (int i = 0; i < 500; ++i) queue.message(Opcode::Text, "", "more and more");
  CHECK(queue.offer() == offered);
  queue.consume(offered.size());
  CHECK(frames_of(std::string(queue.offer())) == std::vector{Frame{0x8A, "p"}});
  const std::string pong(queue.offer());
  queue.pong("q");
  CHECK(queue.offer() == pong);
}

TEST_CASE("a Close comes after everything, and nothing after it") {
  OutputQueue queue;
  queue.message(Opcode::Text, "", "before");
  queue.close(close_payload(1000, "bye"));
  queue.message(Opcode::Text, "", "after");
  queue.ping("after");
  queue.pong("after");
  queue.close(close_payload(1001, ""));
  const auto frames = frames_of(drain(queue));
  REQUIRE(frames.size() == 2);
  CHECK(frames[0] == Frame{0x81, "before"});
  CHECK(frames[1] == Frame{0x88, std::string("\x03\xe8") + "bye"});
}

TEST_CASE("dropping what is unsent keeps the frame that has begun") {
  OutputQueue queue;
  queue.message(Opcode::Binary, "", std::string(100'000, 'x'));  // two frames
  queue.message(Opcode::Text, "", "gone");
  const std::size_t sent = queue.offer().size();
  queue.consume(sent);
  queue.ping("gone");
  queue.drop_unsent();
  queue.close(close_payload(1000, ""));
  const std::string rest = drain(queue);
  const std::size_t first_left = frame_bytes(kFrameBytesMax) - sent;
  CHECK(frames_of(rest.substr(first_left)) == std::vector{Frame{0x88, std::string("\x03\xe8")}});

  OutputQueue untouched;
  untouched.message(Opcode::Text, "", "gone");
  untouched.drop_unsent();
  CHECK(untouched.empty());
}

TEST_CASE("random use of the queue keeps every message, in order") {
  std::mt19937 random(7);
  OutputQueue queue;
  std::string wire;
  std::vector<std::string> sent;
  for (int round = 0; round < 5000; ++round) {
    const auto choice = random() % 10;
    if (choice < 4) {
      sent.push_back(std::to_string(round) + std::string(random() % (choice == 0 ? 5000 : 100), 'x'));
      queue.message(Opcode::Text, std::string_view(sent.back()).substr(0, 1), std::string_view(sent.back()).substr(1));
    } else if (choice == 4) {
      queue.pong(std::to_string(round));
    } else if (choice == 5) {
      queue.ping(std::to_string(round));
    } else if (!queue.empty()) {
      const std::string_view offered = queue.offer();
      const std::size_t count = random() % 2 == 0 ? offered.size() : 1 + random() % offered.size();
      wire += offered.substr(0, count);
      queue.consume(count);
    }
  }
  wire += drain(queue);
  std::string left;
  std::vector<std::string> got;
  for (const Frame& frame : frames_of(wire, &left))
    if (frame.first == 0x81) got.push_back(frame.payload);
  CHECK(left.empty());
  CHECK(got == sent);
}
