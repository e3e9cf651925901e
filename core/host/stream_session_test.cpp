#include "core/host/stream_session.hpp"

#include "core/host/test_session.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::host;
using namespace hawser::host::testing;

namespace {
using Texts = std::vector<std::string>;
using Numbers = std::vector<std::uint64_t>;
}  // namespace

TEST_CASE("the device says hello first, nothing else before welcome, and resume after it") {
  Stage stage;
  stage.push("a");
  stage.connect();
  CHECK(stage.wire.texts ==
        Texts{R"({"type":"hello","stream":"stream-1","next_seq":2,"plugin":"acme.probe","version":"1.2.3"})"});
  CHECK_FALSE(stage.tick());
  CHECK(stage.wire.binaries.empty());
  CHECK_FALSE(stage.welcome());
  CHECK(stage.wire.texts.back() == R"({"type":"resume","acked":0})");
  CHECK(stage.sent() == Texts{"a"});
  CHECK(stage.session->ready());
}

TEST_CASE("a welcome that does not come within 10 s ends the connection") {
  Stage stage;
  stage.connect();
  CHECK_FALSE(stage.tick(9999ms));
  CHECK(stage.tick(1ms)->code == 4008);
}

TEST_CASE("durable numbers are consecutive from 1, and each is sent once on a connection") {
  Stage stage;
  stage.connect();
  REQUIRE_FALSE(stage.welcome());
  for (const char* payload : {"a", "b", "c"}) stage.push(payload);
  stage.tick();
  stage.tick();
  REQUIRE(stage.wire.binaries.size() == 3);
  for (std::uint64_t i = 0; i < 3; ++i) {
    CHECK(stage.wire.binaries[i][0] == 0x02);
    CHECK(number_in(stage.wire.binaries[i]) == i + 1);
  }
}

TEST_CASE("an acknowledgement is cumulative and tells the plugin its own number") {
  Stage stage;
  stage.connect();
  REQUIRE_FALSE(stage.welcome());
  for (const char* payload : {"a", "b", "c"}) stage.push(payload);
  stage.tick();
  REQUIRE_FALSE(stage.ack(2));
  CHECK(stage.events.acked == Numbers{2});
  CHECK_FALSE(stage.ack(1));  // an old one says nothing
  CHECK(stage.events.acked == Numbers{2});
  CHECK(stage.ack(4)->code == 1008);  // never sent
}

TEST_CASE("after a reconnect only what the cloud does not have is sent again, in order") {
  Stage stage;
  stage.connect();
  REQUIRE_FALSE(stage.welcome());
  for (const char* payload : {"a", "b", "c"}) stage.push(payload);
  stage.tick();
  stage.disconnect();
  stage.push("d");
  stage.connect();
  CHECK(stage.wire.texts[0].find(R"("stream":"stream-1","next_seq":5)") != std::string::npos);
  REQUIRE_FALSE(stage.welcome(2));
  CHECK(stage.events.acked == Numbers{2});
  CHECK(stage.sent() == Texts{"c", "d"});
  CHECK(number_in(stage.wire.binaries[0]) == 3);
}

TEST_CASE("never more is in flight than the grant says") {
  Stage stage;
  SECTION("messages") {
    stage.limits.in_flight_messages = 2;
    stage.connect();
    REQUIRE_FALSE(stage.welcome());
    for (const char* payload : {"a", "b", "c", "d"}) stage.push(payload);
    stage.tick();
    CHECK(stage.sent() == Texts{"a", "b"});
    REQUIRE_FALSE(stage.ack(1));
    CHECK(stage.sent() == Texts{"a", "b", "c"});
  }
  SECTION("bytes, headers included") {
    stage.limits.in_flight_bytes = 30;
    stage.connect();
    REQUIRE_FALSE(stage.welcome());
    for (int i = 0; i < 3; ++i) stage.push(std::string(6, 'x'));  // 15 on the wire
    stage.tick();
    CHECK(stage.wire.binaries.size() == 2);
    REQUIRE_FALSE(stage.ack(2));
    CHECK(stage.wire.binaries.size() == 3);
  }
  SECTION("one message goes even where it alone is over the bytes") {
    stage.limits.in_flight_bytes = 10;
    stage.connect();
    REQUIRE_FALSE(stage.welcome());
    stage.push(std::string(100, 'x'));
    stage.push("y");
    stage.tick();
    CHECK(stage.wire.binaries.size() == 1);
  }
}

TEST_CASE("sending waits while the wire is full") {
  Stage stage;
  stage.connect();
  REQUIRE_FALSE(stage.welcome());
  stage.wire.room = 1;
  for (const char* payload : {"a", "b"}) stage.push(payload);
  stage.tick();
  CHECK(stage.sent() == Texts{"a"});
  stage.wire.room = SIZE_MAX;
  stage.tick();
  CHECK(stage.sent() == Texts{"a", "b"});
}

TEST_CASE("a refused message is counted and told, and what is behind it goes on") {
  Stage stage;
  stage.connect();
  REQUIRE_FALSE(stage.welcome());
  for (const char* payload : {"a", "b", "c"}) stage.push(payload);
  stage.tick();
  REQUIRE_FALSE(stage.text(R"({"type":"nack","seq":2,"code":"bad_payload","message":"no"})"));
  CHECK(stage.events.nacked == std::vector<std::pair<std::uint64_t, std::string>>{{2, "bad_payload"}});
  CHECK(stage.events.dropped["nacked"] == 1);
  REQUIRE_FALSE(stage.ack(3));
  CHECK(stage.events.acked == Numbers{3});
  CHECK(stage.session->sender().everything_acked());
  CHECK(stage.text(R"({"type":"nack","seq":9,"code":"bad_payload"})")->code == 1008);
}

TEST_CASE("a number that the welcome calls refused is not sent again") {
  Stage stage;
  stage.connect();
  REQUIRE_FALSE(stage.welcome());
  for (const char* payload : {"a", "b", "c"}) stage.push(payload);
  stage.tick();
  stage.disconnect();
  stage.connect();
  REQUIRE_FALSE(stage.welcome(2, "cloud-1", 1, "[2]"));
  CHECK(stage.sent() == Texts{"c"});
  CHECK(stage.events.nacked.size() == 1);
  CHECK(stage.events.acked == Numbers{2});
}

TEST_CASE("a message over a later grant's limit is passed over at its place with skipped") {
  Stage stage;
  stage.push("a");
  stage.push(std::string(5000, 'x'));
  stage.push("c");
  stage.limits.message_bytes = 1024;
  stage.connect();
  REQUIRE_FALSE(stage.welcome());
  CHECK(stage.sent() == Texts{"a", "c"});
  CHECK(stage.wire.texts.back() == R"({"type":"skipped","from":2,"to":2,"reason":"too_big"})");
  CHECK(stage.events.dropped["too_big"] == 1);
  REQUIRE_FALSE(stage.ack(3));
  CHECK(stage.session->sender().everything_acked());
}

TEST_CASE("a cloud that lost what it had acknowledged gets a new stream with what is left, and the loss is counted") {
  Stage stage;
  stage.connect();
  REQUIRE_FALSE(stage.welcome());
  for (const char* payload : {"a", "b", "c", "d"}) stage.push(payload);
  stage.tick();
  REQUIRE_FALSE(stage.ack(3));
  stage.disconnect();
  stage.connect();
  const auto fault = stage.welcome(1);
  REQUIRE(fault);
  CHECK(fault->code == 1000);
  CHECK(stage.events.dropped["cloud_state_lost"] == 2);  // 2 and 3 are gone
  stage.disconnect();
  stage.connect();
  CHECK(stage.wire.texts[0].find(R"("stream":"stream-2","next_seq":2)") != std::string::npos);
  REQUIRE_FALSE(stage.welcome(0));
  CHECK(stage.sent() == Texts{"d"});
  CHECK(number_in(stage.wire.binaries[0]) == 1);
  REQUIRE_FALSE(stage.ack(1));
  CHECK(stage.events.acked == Numbers{3, 4});  // the plugin's own numbers go on
}

TEST_CASE("a cloud that remembers more than was sent gets a new stream, and nothing counts as lost") {
  Stage stage;
  stage.push("a");
  stage.connect();
  const auto fault = stage.welcome(7);
  REQUIRE(fault);
  CHECK(fault->code == 1000);
  CHECK(stage.events.dropped.empty());
  stage.disconnect();
  stage.connect();
  REQUIRE_FALSE(stage.welcome(0));
  CHECK(stage.sent() == Texts{"a"});
}

TEST_CASE("no acknowledgement for 60 s while one is due ends the connection with 4008") {
  Stage stage;
  stage.connect();
  REQUIRE_FALSE(stage.welcome());
  CHECK_FALSE(stage.tick(61s));  // nothing is due
  stage.push("a");
  stage.tick();
  CHECK_FALSE(stage.tick(59s));
  REQUIRE_FALSE(stage.ack(1));
  CHECK_FALSE(stage.tick(61s));
  stage.push("b");
  stage.tick();
  CHECK(stage.tick(60s)->code == 4008);
}

TEST_CASE("a ping goes every interval, the round trip is measured, silence for 15 s more ends the connection") {
  Stage stage;
  stage.limits.ping = 60s;
  stage.connect();
  REQUIRE_FALSE(stage.welcome());
  const TimePoint last_inbound = stage.now;
  stage.now += 60s;
  CHECK_FALSE(stage.session->tick(stage.now, last_inbound));
  REQUIRE(stage.wire.pings.size() == 1);
  stage.session->pong("something else", stage.now + 1ms);
  CHECK_FALSE(stage.session->round_trip());
  stage.session->pong(stage.wire.pings[0], stage.now + 42ms);
  CHECK(stage.session->round_trip() == 42ms);
  CHECK_FALSE(stage.session->tick(last_inbound + 74999ms, last_inbound));
  const auto fault = stage.session->tick(last_inbound + 75s, last_inbound);
  REQUIRE(fault);
  CHECK(fault->code == 4008);
  CHECK(fault->reason == "hang_up");
}

TEST_CASE("an idle session has nothing to do before its next ping") {
  Stage stage;
  stage.connect();
  REQUIRE_FALSE(stage.welcome());
  CHECK(stage.session->next_due(stage.now) == stage.now + 60s);
}

TEST_CASE("best effort goes only while ready, is dropped at the end of the connection, and counted") {
  Stage stage;
  stage.connect();
  REQUIRE_FALSE(stage.welcome());
  REQUIRE(stage.queue.push({BestEffortQueue::Item::Kind::Plain, "hi"}));
  REQUIRE(stage.queue.push({BestEffortQueue::Item::Kind::Text, R"({"type":"mine"})"}));
  stage.tick();
  CHECK(stage.wire.binaries == Texts{binary(0x01, 0, "hi")});
  CHECK(stage.wire.texts.back() == R"({"type":"mine"})");
  REQUIRE(stage.queue.push({BestEffortQueue::Item::Kind::Plain, "late"}));
  stage.disconnect();
  CHECK(stage.events.dropped["expired"] == 1);
}

TEST_CASE("a limit of bytes a second holds durable and best-effort messages back, on all subconnections") {
  Stage stage;
  Pace pace(1000);
  stage.session = std::make_unique<StreamSession>(StreamSession::Identity{"acme.probe", "1.2.3"}, *stage.delivery,
                                                  stage.queue, stage.store, stage.events, &pace);
  stage.connect();
  REQUIRE_FALSE(stage.welcome());
  stage.push(std::string(500, 'a'));
  stage.push(std::string(500, 'b'));
  stage.tick();
  CHECK(stage.sent().size() == 1);
  CHECK(stage.session->next_due(stage.now) == pace.next());
  pace.sent(1000, stage.now);  // another subconnection of the plugin
  REQUIRE(stage.queue.push({BestEffortQueue::Item::Kind::Plain, "hi"}));
  stage.tick(1400ms);  // 1509 bytes take 1.509 s, of which 100 ms may be owed
  CHECK(stage.wire.binaries.size() == 1);
  stage.tick(10ms);
  CHECK(stage.wire.binaries.size() == 3);
}

TEST_CASE("each fault of the cloud ends the connection with its own close code") {
  struct Row {
    const char* what;
    std::string text;    // a text message, else
    std::string binary;  // a binary one
    int code;
  };
  const std::vector<Row> rows = {
      {"not JSON", "nonsense", "", 1007},
      {"not UTF-8", "{\"type\":\"\xff\"}", "", 1007},
      {"an array", "[1]", "", 1007},
      {"a member twice", R"({"type":"x","type":"y"})", "", 1007},
      {"no type", R"({"a":1})", "", 1008},
      {"a type that is no text", R"({"type":7})", "", 1008},
      {"hello is for the device", R"({"type":"hello"})", "", 1008},
      {"a second welcome", R"({"type":"welcome","acked":0,"nacked":[],"stream":"s","next_seq":1})", "", 1008},
      {"ack without number", R"({"type":"ack"})", "", 1008},
      {"ack of a text", R"({"type":"ack","seq":"1"})", "", 1008},
      {"nack without code", R"({"type":"nack","seq":1})", "", 1008},
      {"skipped backwards", R"({"type":"skipped","from":2,"to":1})", "", 1008},
      {"skipped with a gap", R"({"type":"skipped","from":3,"to":4})", "", 1008},
      {"a short header", "", std::string("\x02\0\0\0\0\0\0\0", 8), 1008},
      {"an unknown kind", "", binary(0x03, 1, "x"), 1008},
      {"best effort with a number", "", binary(0x01, 1, "x"), 1008},
      {"durable without a number", "", binary(0x02, 0, "x"), 1008},
      {"a gap", "", binary(0x02, 2, "x"), 1008},
      {"too long", "", binary(0x02, 1, std::string(1024 * 1024, 'x')), 1009},
  };
  for (const Row& row : rows) {
    INFO(row.what);
    Stage stage;
    stage.connect();
    REQUIRE_FALSE(stage.welcome());
    const auto fault = row.text.empty() ? stage.session->binary(row.binary, stage.now) : stage.text(row.text);
    REQUIRE(fault);
    CHECK(fault->code == row.code);
    CHECK(stage.events.durable.empty());
  }
}

TEST_CASE("a wrong welcome, and data or control before it, end the connection with 1008") {
  for (const char* text :
       {R"({"type":"welcome"})", R"({"type":"welcome","acked":0,"nacked":[],"stream":"s"})",
        R"({"type":"welcome","acked":0,"nacked":["1"],"stream":"s","next_seq":1})",
        R"({"type":"welcome","acked":0,"nacked":[true],"stream":"s","next_seq":1})",
        R"({"type":"welcome","acked":-1,"nacked":[],"stream":"s","next_seq":1})", R"({"type":"ack","seq":0})"}) {
    INFO(text);
    Stage stage;
    stage.connect();
    const auto fault = stage.text(text);
    REQUIRE(fault);
    CHECK(fault->code == 1008);
  }
  Stage stage;
  stage.connect();
  CHECK(stage.in(1)->code == 1008);
}

TEST_CASE("other texts belong to the plugin, also of a type that nobody knows") {
  Stage stage;
  stage.connect();
  REQUIRE_FALSE(stage.welcome());
  REQUIRE_FALSE(stage.text(R"({"type":"set_interval","interval_s":5})"));
  CHECK(stage.events.texts == Texts{R"({"type":"set_interval","interval_s":5})"});
  REQUIRE_FALSE(stage.session->binary(binary(0x01, 0, "hi"), stage.now));
  REQUIRE_FALSE(stage.session->binary(binary(0x81, 0, "zz"), stage.now));
  CHECK(stage.events.best_effort == Texts{"hi", "z:zz"});
}
