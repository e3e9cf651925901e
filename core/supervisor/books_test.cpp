#include "core/supervisor/grant_book.hpp"
#include "core/supervisor/life_cycle.hpp"
#include "core/supervisor/plugin_metrics.hpp"
#include "core/supervisor/rate_limit.hpp"
#include "core/supervisor/subconnection_book.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::supervisor;
using namespace std::chrono_literals;

namespace {

json::Object grant(const std::string& service, int expires_in) {
  auto object = json::make_object();
  object->set("service", service);
  object->set("expires_in", expires_in);
  return object;
}

}  // namespace

TEST_CASE("a kept grant gets older, and is not given out any more when its time is over") {
  GrantBook book;
  const TimePoint start{100s};
  CHECK(book.replace({grant("a", 3600), grant("b", 10)}, {{"c", "plugin_blocked"}}, start).empty());
  CHECK(json::integer_or(book.grant("a", start), "expires_in", 0) == 3600);
  CHECK(json::integer_or(book.grant("a", start + 90s), "expires_in", 0) == 3510);
  CHECK(json::integer_or(book.grant("a", start), "expires_in", 0) == 3600);
  CHECK(book.grant("b", start + 9s));
  CHECK_FALSE(book.grant("b", start + 10s));
  CHECK_FALSE(book.grant("c", start));
  CHECK(book.refusal("c") == "plugin_blocked");
}

TEST_CASE("a service that stands in no list any more is revoked, also one that was refused") {
  GrantBook book;
  const TimePoint start{100s};
  REQUIRE(book.replace({grant("a", 10), grant("b", 10)}, {{"c", "x"}}, start).empty());
  CHECK(book.replace({grant("b", 10)}, {}, start) == std::vector<std::string>{"a", "c"});
  CHECK_FALSE(book.grant("a", start));
  CHECK(book.replace({}, {{"b", "x"}}, start).empty());
  REQUIRE(book.replace({grant("d", 10)}, {}, start) == std::vector<std::string>{"b"});
  book.use_up("d");
  CHECK_FALSE(book.grant("d", start));
  CHECK(book.replace({}, {}, start) == std::vector<std::string>{"d"});
  REQUIRE(book.replace({grant("e", 10)}, {}, start).empty());
  book.forget_all();
  CHECK(book.replace({}, {}, start).empty());
}

TEST_CASE("what a host tells of a subconnection is checked and made safe to show") {
  SubconnectionBook book;
  book.add("acme.shop", "shop");
  auto& row = *book.find("shop");
  CHECK(row.state == "stopped");
  auto message = json::parse_object(R"({"state":"ready","url":"wss://x\u001b[31m","sent_bytes":5,"dropped":{"a":1}})");
  REQUIRE(message);
  CHECK(book.take(row, *message).value());
  CHECK_FALSE(book.take(row, *message).value());
  CHECK(row.url == "wss://x\\x1b[31m");
  CHECK_FALSE(row.queued_bytes);
  CHECK_FALSE(book.take(row, json::parse_object(R"({"state":"happy"})").value()));
  REQUIRE(book.take(row, json::parse_object(R"({"state":"ready","sent_bytes":-7,"queued_bytes":"x"})").value()));
  CHECK(row.sent_bytes.total() == 5);
  for (int i = 0; i < 100; ++i) {
    const auto flood = json::parse_object(R"({"state":"ready","dropped":{"r)" + std::to_string(i) + R"(":1}})");
    REQUIRE(book.take(row, *flood));
  }
  CHECK(row.dropped.size() == 16);
  REQUIRE(book.take(row, json::parse_object(R"({"state":"ready","sent_bytes":9007199254740991})").value()));
  book.host_ended("acme.shop", "crashed", "x");
  REQUIRE(book.take(row, json::parse_object(R"({"state":"ready","sent_bytes":9007199254740991})").value()));
  CHECK(row.sent_bytes.total() == json::kIntegerMax);
}

TEST_CASE("what a dead host had not delivered is counted as expired, once") {
  SubconnectionBook book;
  book.add("acme.shop", "shop");
  book.add("acme.shop", "till");
  const auto told = json::parse_object(R"({"state":"ready","queued_messages":7,"dropped":{"expired":2}})");
  REQUIRE(book.take(*book.find("shop"), *told));
  CHECK(book.host_ended("acme.shop", "crashed", "x") == std::map<std::string, std::int64_t>{{"shop", 7}});
  CHECK(book.dropped("expired") == 9);
  CHECK(book.host_ended("acme.shop", "crashed", "x").empty());
  REQUIRE(book.take(*book.find("shop"), *told));  // of the next host
  CHECK(book.dropped("expired") == 11);
}

TEST_CASE("[data-1] what a dead host had in its spool is not lost, and not counted as dropped") {
  SubconnectionBook book;
  book.add("acme.shop", "shop");
  const auto told = json::parse_object(
      R"({"state":"ready","queued_messages":7,"spooled_messages":6,"spooled_bytes":4096})");
  REQUIRE(book.take(*book.find("shop"), *told));
  CHECK(book.find("shop")->spooled_bytes == 4096);
  CHECK(book.host_ended("acme.shop", "crashed", "x") == std::map<std::string, std::int64_t>{{"shop", 1}});
  CHECK(book.dropped("expired") == 1);
  CHECK_FALSE(book.find("shop")->spooled_bytes);
}

TEST_CASE("a rate limit lets a burst through, then so many a second, and counts the rest") {
  RateLimit rate(10, 3);
  TimePoint now{1000s};
  int passed = 0;
  for (int i = 0; i < 100; ++i) passed += rate.allow(now);
  CHECK(passed == 3);
  CHECK(rate.take_held_back() == 97);
  CHECK(rate.take_held_back() == 0);
  for (int i = 0; i < 100; ++i) passed += rate.allow(now += 10ms);
  CHECK(passed >= 12);
  CHECK(passed <= 14);
}

TEST_CASE("the life cycle: a host's end is handled wherever one may run, and refused is left by start alone") {
  using namespace life_cycle;
  CHECK(find_row(kTable, S::Starting, E::HostReady)->to == S::Ready);
  CHECK(find_row(kTable, S::Draining, E::EndedToRestart)->then == A::Spawn);
  for (const S state : {S::Starting, S::Ready, S::Degraded}) {
    CHECK(find_row(kTable, state, E::Ended)->to == S::Backoff);
    CHECK(find_row(kTable, state, E::HostRefused)->to == S::Refused);
    CHECK(find_row(kTable, state, E::StopAsked)->to == S::Draining);
  }
  for (const auto& row : kTable) {
    if (row.from == S::Refused && row.to == S::Starting) CHECK(row.on == E::Start);
    if (row.then == A::Spawn) CHECK(row.to == S::Starting);
    if (row.then == A::Retry) CHECK(row.to == S::Backoff);
  }
  CHECK(name_of(S::Refused) == "refused");
  CHECK(name_of(E::EndedToRestart) == "ended to restart");
}

TEST_CASE("a plugin's own figures are kept as it told them last, and what is wrong changes nothing") {
  PluginMetrics book;
  const auto told = json::parse_object(R"({"metrics":[{"name":"orders.waiting","kind":"gauge","unit":"{order}",
    "value":2.5,"attributes":{"shop":"a\u001b"}},{"name":"orders","kind":"counter","unit":"","value":7,"attributes":{}}]})");
  REQUIRE(told);
  REQUIRE(book.take("acme.shop", *told));
  REQUIRE(book.of("acme.shop").size() == 2);
  CHECK(book.of("acme.shop")[0].value == 2.5);
  CHECK(book.of("acme.shop")[0].attributes.at("shop") == "a\\x1b");
  CHECK(book.of("acme.shop")[1].counter);
  for (const char* wrong :
       {R"({})", R"({"metrics":[1]})", R"({"metrics":[{"name":"","kind":"gauge","unit":"","value":1,"attributes":{}}]})",
        R"({"metrics":[{"name":"a","kind":"sum","unit":"","value":1,"attributes":{}}]})",
        R"({"metrics":[{"name":"a","kind":"gauge","unit":"","value":"1","attributes":{}}]})",
        R"({"metrics":[{"name":"a","kind":"gauge","unit":"","value":1}]})"})
    CHECK_FALSE(book.take("acme.shop", json::parse_object(wrong).value()));
  CHECK(book.of("acme.shop").size() == 2);
  book.forget("acme.shop");
  CHECK(book.of("acme.shop").empty());
}
