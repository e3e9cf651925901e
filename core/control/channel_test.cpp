#include "core/control/channel.hpp"

#include <sys/socket.h>

#include "tests/catch.hpp"

using namespace hawser;
using control::Channel;

namespace {
json::Object message(const std::string& type) {
  auto object = json::make_object();
  object->set("type", type);
  return object;
}
struct Pair {
  std::pair<Descriptor, Descriptor> ends = std::move(Channel::make_pair()).value();
  int raw = ends.second.get();
  Channel core{std::move(ends.first)}, host{std::move(ends.second)};
};
}  // namespace

TEST_CASE("messages arrive whole and in order, and an end that is gone says so") {
  Pair pair;
  for (int i = 0; i < 20; ++i) REQUIRE(pair.core.send(message("m" + std::to_string(i))));
  for (int i = 0; i < 20; ++i) {
    const auto got = pair.host.receive();
    REQUIRE(got);
    CHECK(json::text_or(**got, "type") == "m" + std::to_string(i));
  }
  CHECK_FALSE(pair.host.receive().value());
  { const Channel gone = std::move(pair.core); }
  CHECK(pair.host.receive().error().code == "closed");
}

TEST_CASE("an end that does not read is given up after a bounded number of messages") {
  Pair pair;
  auto big = message("log");
  big->set("message", std::string(60'000, 'x'));
  std::size_t taken = 0;
  while (pair.core.send(big)) REQUIRE(++taken < 10'000);
  CHECK(pair.core.send(big).error().code == "queue_full");
  big->set("message", std::string(control::kChannelTextMax, 'x'));
  CHECK(pair.core.send(big).error().code == "too_big");
}

TEST_CASE("a packet of wrong form is refused, whatever is wrong with it") {
  const std::string good_header("1SWH\x0e\0\0\0\x01\0\0\0\0\0\0\0", 16);
  const std::string good = good_header + R"({"type":"abc"})";
  for (const std::string& bad : {std::string("x"), std::string(16, '\0'), good_header, good + "x", "2" + good.substr(1),
                                 good.substr(0, 8) + "\x02" + good.substr(9), good_header + R"({"type":1234})",
                                 good_header + R"(not json at a)"}) {
    Pair pair;
    REQUIRE(::send(pair.raw, bad.data(), bad.size(), 0) == static_cast<ssize_t>(bad.size()));
    INFO(bad);
    CHECK(pair.core.receive().error().code == "bad_payload");
  }
  Pair pair;
  REQUIRE(::send(pair.raw, good.data(), good.size(), 0) == static_cast<ssize_t>(good.size()));
  CHECK(json::text_or(*pair.core.receive().value(), "type") == "abc");
}
