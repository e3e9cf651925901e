// From a name to a connected socket.
#include <atomic>

#include "core/transport/connector.hpp"
#include "core/transport/limits.hpp"
#include "core/transport/resolver.hpp"
#include "core/transport/test_name_server.hpp"
#include "core/transport/test_tls_server.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::transport;
using namespace hawser::transport::test;
using Poco::Net::IPAddress;

namespace {

StepLimit within(milliseconds limit) { return StepLimit(limit, Clock::now() + 60s); }

// "a b c", or "code: words".
std::string resolved(const std::string& host, const std::string& servers, milliseconds limit = 5s) {
  Waker waker;
  const auto result = resolve(host, waker, within(limit), {}, servers);
  if (!result) return result.error().code + ": " + result.error().message;
  std::string all;
  for (const IPAddress& address : *result) all += (all.empty() ? "" : " ") + address.toString();
  return all;
}

using Answer = NameServer::Answer;

}  // namespace

TEST_CASE("an IP literal and localhost need no name server") {
  const NameServer silent([](const std::string&, int) { return Answer{.swallow = true}; });
  CHECK(resolved("127.0.0.3", silent.address()) == "127.0.0.3");
  CHECK(resolved("fe80::1", silent.address()) == "fe80::1");
  CHECK(resolved("localhost", silent.address()) == "::1 127.0.0.1");
  CHECK(resolved("cloud.LocalHost", silent.address()) == "::1 127.0.0.1");
}

TEST_CASE("families are interleaved, IPv6 first, and no more than 16 addresses are kept") {
  const NameServer server([](const std::string& name, int type) {
    Answer answer;
    for (int i = 1; i <= (name == "many.test" ? 12 : 2); ++i)
      answer.addresses.push_back((type == NameServer::kA ? "10.0.0." : "fd00::") + std::to_string(i));
    return answer;
  });
  const std::string two = resolved("dual.test", server.address());
  CHECK((two == "fd00::1 10.0.0.1 fd00::2 10.0.0.2" || two == "fd00::2 10.0.0.1 fd00::1 10.0.0.2" ||
         two == "fd00::1 10.0.0.2 fd00::2 10.0.0.1" || two == "fd00::2 10.0.0.2 fd00::1 10.0.0.1"));
  const std::string many = resolved("many.test", server.address());
  CHECK(std::count(many.begin(), many.end(), ' ') == 15);
}

TEST_CASE("a name server that swallows AAAA questions holds the A answer up for a moment only") {
  const NameServer server([](const std::string&, int type) {
    return type == NameServer::kA ? Answer{.addresses = {"10.0.0.1"}} : Answer{.swallow = true};
  });
  const TimePoint begin = Clock::now();
  CHECK(resolved("cloud.test", server.address()) == "10.0.0.1");
  CHECK(Clock::now() - begin < 1s);
}

TEST_CASE("each look-up asks afresh") {
  std::atomic<int> last{0};
  const NameServer server([&](const std::string&, int type) {
    return type == NameServer::kA ? Answer{.addresses = {"10.0.0." + std::to_string(++last)}} : Answer{};
  });
  CHECK(resolved("cloud.test", server.address()) == "10.0.0.1");
  CHECK(resolved("cloud.test", server.address()) == "10.0.0.2");
}

TEST_CASE("a name that does not exist, and a server that does not answer, are dns_failed in other words") {
  const NameServer none([](const std::string&, int) { return Answer{.code = 3}; });
  CHECK(resolved("cloud.test", none.address()) == "dns_failed: name not found: cloud.test: check the server's domain");
  const NameServer silent([](const std::string&, int) { return Answer{.swallow = true}; });
  const TimePoint begin = Clock::now();
  CHECK(resolved("cloud.test", silent.address(), 100ms).starts_with("dns_failed: cloud.test: no answer"));
  CHECK(Clock::now() - begin < 3s);
  Waker waker;
  const auto result = resolve("cloud.test", waker, StepLimit(5s, Clock::now() + 50ms), {}, silent.address());
  REQUIRE(!result);
  CHECK(result.error().code == "attempt_timeout");
}

TEST_CASE("an address that does not answer is overtaken by the next after 250 ms, one that refuses at once") {
  const Listener good = Listener::open(16, "127.0.0.2");
  Waker waker;
  SECTION("no answer") {
    const Listener full = Listener::open(0, "127.0.0.1", good.port);
    const auto fillers = full.fill();
    const TimePoint begin = Clock::now();
    const auto won = connect_any({IPAddress("127.0.0.1"), IPAddress("127.0.0.2")}, good.port, waker, within(10s));
    REQUIRE(won);
    CHECK(won->peer.host().toString() == "127.0.0.2");
    CHECK(Clock::now() - begin >= kAddressStagger);
    CHECK(Clock::now() - begin < 3s);
  }
  SECTION("refused") {
    const TimePoint begin = Clock::now();
    const auto won = connect_any({IPAddress("127.0.0.1"), IPAddress("127.0.0.2")}, good.port, waker, within(10s));
    REQUIRE(won);
    CHECK(won->peer.host().toString() == "127.0.0.2");
    CHECK(Clock::now() - begin < kAddressStagger);
  }
}

TEST_CASE("when no address can be had, each is named with what it said") {
  const Listener gone = Listener::open();
  const std::uint16_t port = Listener::open().port;  // closed again
  Waker waker;
  const auto lost = connect_any({IPAddress("127.0.0.1"), IPAddress("127.0.0.2")}, port, waker, within(10s));
  REQUIRE(!lost);
  CHECK(lost.error().code == "connect_refused");
  CHECK(lost.error().message.find("127.0.0.1:") != std::string::npos);
  CHECK(lost.error().message.find("; 127.0.0.2:") != std::string::npos);

  const auto nowhere = connect_any({IPAddress("255.255.255.255")}, port, waker, within(10s));
  REQUIRE(!nowhere);
  CHECK(nowhere.error().code == "network_unreachable");
}

TEST_CASE("[conn-21] connecting that gets no answer is connect_timeout, or attempt_timeout when that is sooner") {
  const Listener full = Listener::open(0);
  const auto fillers = full.fill();
  Waker waker;
  const auto late = connect_any({IPAddress("127.0.0.1")}, full.port, waker, within(50ms));
  REQUIRE(!late);
  CHECK(late.error().code == "connect_timeout");
  CHECK(late.error().message.find("no answer") != std::string::npos);
  const auto over = connect_any({IPAddress("127.0.0.1")}, full.port, waker, StepLimit(10s, Clock::now() + 50ms));
  REQUIRE(!over);
  CHECK(over.error().code == "attempt_timeout");
}
