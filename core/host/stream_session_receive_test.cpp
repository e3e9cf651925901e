#include "core/host/test_session.hpp"
#include "tests/catch.hpp"

// The way from the cloud to the plugin.
using namespace hawser;
using namespace hawser::host;
using namespace hawser::host::testing;

namespace {

using Texts = std::vector<std::string>;

void open(Stage& stage) {
  stage.connect();
  REQUIRE_FALSE(stage.welcome());
}

Texts acks(const Stage& stage) {
  Texts found;
  for (const auto& text : stage.wire.texts) {
    if (text.find(R"("type":"ack")") != std::string::npos || text.find(R"("type":"nack")") != std::string::npos)
      found.push_back(text);
  }
  return found;
}

}  // namespace

TEST_CASE("a durable message is acknowledged after the plugin took it and its number is stored, not before") {
  Stage stage;
  open(stage);
  REQUIRE_FALSE(stage.in(1, "a"));
  REQUIRE(stage.events.durable.size() == 1);
  CHECK(stage.events.durable[0].payload == "a");
  CHECK(stage.events.durable[0].stream == "cloud-1");
  stage.tick(1s);
  CHECK(acks(stage).empty());
  REQUIRE_FALSE(stage.verdict(1));
  stage.tick();
  CHECK(acks(stage).empty());
  stage.tick(200ms);
  CHECK(acks(stage) == Texts{R"({"type":"ack","seq":1})"});
  CHECK(stage.store.kept == Received{"cloud-1", 1});
}

TEST_CASE("what is taken within the group delay shares one write and one acknowledgement") {
  Stage stage;
  open(stage);
  for (std::uint64_t i = 1; i <= 50; ++i) {
    REQUIRE_FALSE(stage.in(i));
    REQUIRE_FALSE(stage.verdict(i));
    stage.tick(1ms);
  }
  stage.tick(100ms);
  CHECK(stage.store.saves == 1);
  CHECK(acks(stage) == Texts{R"({"type":"ack","seq":50})"});
}

TEST_CASE("1 MiB that waits is acknowledged without delay") {
  Stage stage;
  open(stage);
  for (std::uint64_t i = 1; i <= 2; ++i) {
    REQUIRE_FALSE(stage.in(i, std::string(600'000, 'x')));
    REQUIRE_FALSE(stage.verdict(i));
  }
  CHECK(acks(stage) == Texts{R"({"type":"ack","seq":2})"});
}

TEST_CASE("a refused message is answered with nack and stored, so that it never comes again") {
  Stage stage;
  open(stage);
  REQUIRE_FALSE(stage.in(1));
  REQUIRE_FALSE(stage.verdict(1, Verdict::Refused, "no such path"));
  stage.tick(200ms);
  CHECK(acks(stage) ==
        Texts{R"({"type":"nack","seq":1,"code":"bad_payload","message":"no such path"})", R"({"type":"ack","seq":1})"});
}

TEST_CASE("a message that is neither taken nor refused ends the connection, and comes again after it") {
  Stage stage;
  open(stage);
  REQUIRE_FALSE(stage.in(1));
  const auto fault = stage.verdict(1, Verdict::Again);
  REQUIRE(fault);
  CHECK(fault->code == 1011);
  stage.disconnect();
  stage.connect();
  REQUIRE_FALSE(stage.welcome(0, "cloud-1", 2));
  CHECK(stage.wire.texts.back() == R"({"type":"resume","acked":0})");
  REQUIRE_FALSE(stage.in(1));
  CHECK(stage.events.durable.size() == 2);
}

TEST_CASE("a duplicate is dropped, a gap ends the connection and nothing from it on is stored") {
  Stage stage;
  open(stage);
  REQUIRE_FALSE(stage.in(1));
  REQUIRE_FALSE(stage.in(1));
  CHECK(stage.events.durable.size() == 1);
  CHECK(stage.in(3)->code == 1008);
  CHECK(stage.events.durable.size() == 1);
}

TEST_CASE("a number stored before a restart of the host is told in resume and dropped when it comes again") {
  Stage stage;
  stage.store.kept = {"cloud-1", 7};
  stage.begin();
  stage.connect();
  REQUIRE_FALSE(stage.welcome(0, "cloud-1", 9));
  CHECK(stage.wire.texts.back() == R"({"type":"resume","acked":7})");
  REQUIRE_FALSE(stage.in(7));
  REQUIRE_FALSE(stage.in(8, "eight"));
  REQUIRE(stage.events.durable.size() == 1);
  CHECK(stage.events.durable[0].number == 8);
}

TEST_CASE("another stream of the cloud begins at 1") {
  Stage stage;
  stage.store.kept = {"cloud-1", 7};
  stage.begin();
  stage.connect();
  REQUIRE_FALSE(stage.welcome(0, "cloud-2", 2));
  CHECK(stage.wire.texts.back() == R"({"type":"resume","acked":0})");
  REQUIRE_FALSE(stage.in(1));
  REQUIRE_FALSE(stage.verdict(1, Verdict::Taken, "", "cloud-2"));
  stage.tick(200ms);
  CHECK(stage.store.kept == Received{"cloud-2", 1});
}

TEST_CASE("a message that the plugin still holds when the connection ends is not handed over a second time") {
  Stage stage;
  open(stage);
  REQUIRE_FALSE(stage.in(1, "a"));
  REQUIRE_FALSE(stage.in(2, "b"));
  stage.events.held = 1;  // the plugin said PENDING to 1; 2 was not begun
  stage.disconnect();
  stage.events.durable.clear();
  stage.connect();
  REQUIRE_FALSE(stage.welcome(0, "cloud-1", 3));
  REQUIRE_FALSE(stage.in(1, "a"));
  REQUIRE_FALSE(stage.in(2, "b"));
  REQUIRE(stage.events.durable.size() == 1);
  CHECK(stage.events.durable[0].number == 2);
  REQUIRE_FALSE(stage.verdict(1));
  REQUIRE_FALSE(stage.verdict(2));
  stage.tick(200ms);
  CHECK(acks(stage) == Texts{R"({"type":"ack","seq":2})"});
}

TEST_CASE("a verdict after the connection's end is stored, and the next resume tells it") {
  Stage stage;
  open(stage);
  REQUIRE_FALSE(stage.in(1));
  stage.events.held = 1;
  stage.disconnect();
  REQUIRE_FALSE(stage.verdict(1, Verdict::Refused, "no"));
  stage.events.held = 0;
  stage.connect();
  REQUIRE_FALSE(stage.welcome(0, "cloud-1", 2));
  CHECK(stage.store.kept.number == 1);
  REQUIRE(stage.wire.texts.size() == 3);
  CHECK(stage.wire.texts[1] == R"({"type":"resume","acked":1})");
  CHECK(stage.wire.texts[2].find("nack") != std::string::npos);
}

TEST_CASE("a disk that takes nothing means no acknowledgement, and the write is tried again") {
  Stage stage;
  open(stage);
  stage.store.broken = true;
  REQUIRE_FALSE(stage.in(1));
  REQUIRE_FALSE(stage.verdict(1));
  stage.tick(1s);
  CHECK(acks(stage).empty());
  CHECK(stage.events.logs.size() == 1);
  stage.disconnect();
  stage.connect();
  REQUIRE_FALSE(stage.welcome(0, "cloud-1", 2));
  REQUIRE_FALSE(stage.in(1));  // it comes again, and the plugin does not see it again
  CHECK(stage.events.durable.size() == 1);
  stage.store.broken = false;
  stage.tick(6s);
  CHECK(acks(stage) == Texts{R"({"type":"ack","seq":1})"});
}

TEST_CASE("numbers that the cloud skipped count as received, at their place") {
  Stage stage;
  open(stage);
  REQUIRE_FALSE(stage.in(1));
  REQUIRE_FALSE(stage.text(R"({"type":"skipped","from":2,"to":900000000000,"reason":"expired"})"));
  stage.tick(200ms);
  CHECK(acks(stage).empty());
  REQUIRE_FALSE(stage.verdict(1));
  stage.tick(200ms);
  CHECK(acks(stage) == Texts{R"({"type":"ack","seq":900000000000})"});
  REQUIRE_FALSE(stage.in(900'000'000'001));
  CHECK(stage.events.durable.size() == 2);
}

TEST_CASE("a cloud that sends more than may be in flight is closed with 1008") {
  Stage stage;
  stage.limits.in_flight_messages = 3;
  open(stage);
  for (std::uint64_t i = 1; i <= 3; ++i) REQUIRE_FALSE(stage.in(i));
  CHECK(stage.in(4)->code == 1008);
}
