#include "core/control/channel.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <vector>

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

TEST_CASE("[B60] a packet of wrong form is refused with what is wrong with it") {
  const std::string good_header("1SWH\x0e\0\0\0\x01\0\0\0\0\0\0\0", 16);
  const std::string good = good_header + R"({"type":"abc"})";
  const auto length = [&](const std::string& four) { return good.substr(0, 4) + four + good.substr(8); };
  const std::pair<std::string, std::string> cases[] = {
      {"x", "has 1 bytes, its header alone has 16"},
      {std::string(16, '\0'), "does not begin as one"},
      {"2" + good.substr(1), "does not begin as one"},
      {good_header, "claims 14 bytes and has 0"},
      {good + "x", "claims 14 bytes and has 15"},
      {length(std::string(4, '\0')), "claims 0 bytes and has 14"},
      {length("\xff\xff\xff\xff"), "claims 4294967295 bytes, over the 128 KiB of the longest"},
      {good + std::string(control::kChannelTextMax, 'x'), "is over the 128 KiB of the longest"},
      {good.substr(0, 8) + "\x02" + good.substr(9), "has number 2 where 1 was due"},
      {good_header + R"({"type":1234})" + " ", "has no type"},
      {good_header + R"(not json at a)" + " ", "is not valid JSON"}};
  for (const auto& [bad, fault] : cases) {
    Pair pair;
    const int room = 1 << 20;
    REQUIRE(::setsockopt(pair.raw, SOL_SOCKET, SO_SNDBUF, &room, sizeof room) == 0);
    REQUIRE(::send(pair.raw, bad.data(), bad.size(), 0) == static_cast<ssize_t>(bad.size()));
    INFO(fault);
    const auto got = pair.core.receive();
    REQUIRE_FALSE(got);
    CHECK(got.error().code == "bad_payload");
    INFO(got.error().message);
    CHECK(got.error().message.find("a control message " + fault) == 0);
  }
  Pair pair;
  REQUIRE(::send(pair.raw, good.data(), good.size(), 0) == static_cast<ssize_t>(good.size()));
  CHECK(json::text_or(*pair.core.receive().value(), "type") == "abc");
}

TEST_CASE("[B60] descriptors that nobody asked for are closed, and their message is refused") {
  const std::string good = std::string("1SWH\x0e\0\0\0\x01\0\0\0\0\0\0\0", 16) + R"({"type":"abc"})";
  for (const std::size_t count : {1u, 2u, 50u}) {
    Pair pair;
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const Descriptor reading(ends[0]);
    Descriptor writing(ends[1]);
    const std::vector<int> passed(count, writing.get());
    std::vector<char> extra(CMSG_SPACE(count * sizeof(int)));
    iovec part{const_cast<char*>(good.data()), good.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = extra.data();
    message.msg_controllen = extra.size();
    cmsghdr* const head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(count * sizeof(int));
    std::memcpy(CMSG_DATA(head), passed.data(), count * sizeof(int));
    REQUIRE(::sendmsg(pair.raw, &message, 0) == static_cast<ssize_t>(good.size()));
    writing.reset();
    const auto got = pair.core.receive();
    REQUIRE_FALSE(got);
    CHECK(got.error().message.find("came with descriptors") != std::string::npos);
    char none = 0;
    CHECK(::read(reading.get(), &none, 1) == 0);  // no copy is left open anywhere
  }
}
