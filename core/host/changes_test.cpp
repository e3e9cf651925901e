// What a host is told of binding, proxy, clock, network and unbinding.
#include "core/host/grant.hpp"
#include "core/host/setup.hpp"
#include "core/host/subconnection_state.hpp"
#include "core/host/switchboard.hpp"
#include "core/host/test_session.hpp"
#include "core/host/waiting.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::host;
using namespace hawser::host::testing;

namespace {

Result<Grant> grant_with(const std::string& binding) {
  return read_grant(*json::parse_object(R"({"service":"s","protocol":"a.s.v1","url":"wss://h/","token":"secret",
      "expires_in":60,"max_message_bytes":1048576,"max_in_flight_messages":10,"max_in_flight_bytes":100000,"ping_s":60)" +
                                        binding + "}"),
                    TimePoint{});
}

Result<Setup> setup_with(const std::string& more) {
  return read_setup(*json::parse_object(R"({"plugin":"acme.shop","version":"1","library":"/x.so","state_dir":"/s",
      "services":[])" + more + "}"));
}

Waiting waiting(bool most) {
  return Waiting([most](std::uint64_t bound) { return most ? bound - 1 : 0; });
}

}  // namespace

TEST_CASE("[conn-14] a grant carries the main connection's binding") {
  CHECK(grant_with("")->binding == Binding{});
  CHECK(grant_with(R"(,"binding":{"ip_version":"any","vpn_instance":"","source_ip":""})")->binding == Binding{});
  const auto grant = grant_with(R"(,"binding":{"ip_version":"6","vpn_instance":"red","source_ip":"fd00::1"})");
  REQUIRE(grant);
  CHECK(grant->binding == Binding{IpVersion::V6, "red", "fd00::1"});
  CHECK(!grant_with(R"(,"binding":{"ip_version":"5"})"));
}

TEST_CASE("[conn-22] the setup brings the proxy, or none") {
  CHECK(setup_with("")->proxy == Proxy{});
  CHECK(setup_with(R"(,"proxy":null)")->proxy == Proxy{});
  const auto setup = setup_with(
      R"(,"proxy":{"host":"p.test","port":3128,"user":"u","password":"pw","no_proxy":["a.test","10.0.0.1"]})");
  REQUIRE(setup);
  CHECK(setup->proxy == Proxy{"p.test", 3128, "u", "pw", {"a.test", "10.0.0.1"}});
  CHECK(!setup_with(R"(,"proxy":{"host":"p.test","port":0})"));
  CHECK(!setup_with(R"(,"proxy":{"host":"","port":1})"));
}

TEST_CASE("[conn-23] the floor of the clock only rises") {
  const auto setup = setup_with(R"(,"validity_floor":1000)");
  REQUIRE(setup);
  setup->validity_floor->raise(500s);
  CHECK(setup->validity_floor->get() == ValidityFloor::SystemTime(1000s));
  setup->validity_floor->raise(2000s);
  CHECK(setup->validity_floor->get() == ValidityFloor::SystemTime(2000s));
}

TEST_CASE("[conn-20] our own waits may end early, those that the cloud asked for not") {
  Ending ending;
  ending.was_ready = true;
  CHECK(waiting(true).after(ending, 3600s).own);  // the spread
  ending = {};
  CHECK(waiting(true).after(ending, 2s).own);  // the backoff
  for (const int status : {401, 403, 404, 500, 503}) {
    ending.status = status;
    CHECK(waiting(true).after(ending, 2s).own);
  }
  for (const int status : {429, 503}) {
    ending.status = status;
    ending.retry_after = 60s;
    CHECK_FALSE(waiting(true).after(ending, 2s).own);
  }
  for (const int code : {1013, 4009}) {
    ending = {};
    ending.close_code = static_cast<std::uint16_t>(code);
    CHECK_FALSE(waiting(true).after(ending, 2s).own);
  }
}

TEST_CASE(
    "[conn-19] a local loss waits 2 s at most, whatever spread the cloud asked for, and what fails then backs off") {
  Waiting most = waiting(true);
  Ending slept;
  slept.local = slept.was_ready = true;
  CHECK(most.after(slept, 3600s).wait == 2s);
  CHECK(most.after(slept, 1s).wait == 1s);
  Ending failed;
  CHECK(most.after(failed, 3600s).wait == 2s);  // the second of a row: 1 s to 2 s
  CHECK(most.after(failed, 3600s).wait == 4s);
  CHECK(waiting(true).after_sleep() == 2s);
}

TEST_CASE("news of the network does not push out a grant that waits for its service, an unbinding does") {
  Switchboard switchboard;
  CoreWord grant, changed, unbound;
  changed.kind = CoreWord::Kind::NetworkChanged;
  unbound.kind = CoreWord::Kind::Unbound;
  std::vector<CoreWord::Kind> heard;
  const auto listener = [&](const CoreWord& word) { heard.push_back(word.kind); };
  switchboard.deliver("a", grant);
  switchboard.deliver_to_all(changed);
  switchboard.listen("a", listener);
  CHECK(heard == std::vector{CoreWord::Kind::Grant});
  switchboard.deliver("b", grant);
  switchboard.deliver_to_all(unbound);
  heard.clear();
  switchboard.listen("b", listener);
  CHECK(heard.empty());
}

TEST_CASE("[conn-16] in every state an unbinding discards, and only a new grant leads on") {
  for (int i = 0; i < static_cast<int>(State::Stopped); ++i) {
    const auto row = find_row(kSubconnectionTable, static_cast<State>(i), Event::Unbound);
    REQUIRE(row);
    CHECK(row->then == Action::Discard);
    CHECK(row->to == (static_cast<State>(i) == State::Draining ? State::Stopped : State::WaitingForGrant));
  }
}

TEST_CASE(
    "[conn-16] an unbinding drops what waits, tells the plugin, counts it as unbound, and begins both streams anew") {
  Stage stage;
  stage.connect();
  REQUIRE(!stage.welcome());
  const auto first = stage.push("one"), second = stage.push("two");
  REQUIRE(!stage.session->tick(stage.now, stage.now));
  REQUIRE(!stage.text(R"({"type":"ack","seq":1})"));
  REQUIRE(!stage.text(R"({"type":"nack","seq":2,"code":"bad_payload","message":"no"})"));
  const auto third = stage.push("three");
  REQUIRE(stage.queue.push({BestEffortQueue::Item::Kind::Text, "{}"}));
  REQUIRE(!stage.session->binary(binary(2, 1, "from the cloud"), stage.now));
  REQUIRE(!stage.session->verdict("cloud-1", 1, Verdict::Taken, "", stage.now));
  stage.session->flush(stage.now);
  CHECK(stage.store.kept == Received{"cloud-1", 1});

  stage.session->discard();
  stage.session->disconnected();
  CHECK(first + second > 0);
  CHECK(stage.events.nacked.back() == std::pair{third, std::string("unbound")});
  CHECK(stage.events.dropped == std::map<std::string, std::uint64_t>{{"nacked", 1}, {"unbound", 2}});
  CHECK(stage.outbox.messages() == 0);
  CHECK(stage.outbox.bytes() == 0);
  CHECK(stage.store.kept == Received{});

  // A late verdict on the old stream means nothing, and what comes next goes by new streams from 1.
  REQUIRE(!stage.session->verdict("cloud-1", 2, Verdict::Taken, "", stage.now));
  const auto fourth = stage.push("four");
  CHECK(fourth > third);
  stage.connect();
  CHECK(stage.wire.texts.front().find(R"("stream":"stream-2","next_seq":2)") != std::string::npos);
  REQUIRE(!stage.welcome(0, "cloud-1", 1));
  REQUIRE(!stage.session->tick(stage.now, stage.now));
  REQUIRE(stage.wire.binaries.size() == 1);
  CHECK(number_in(stage.wire.binaries.front()) == 1);
}
