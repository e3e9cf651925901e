// The waits of a list: rounds over several servers, and what a change does to a wait.
#include "core/connection/kept_waits.hpp"
#include "core/connection/test_waits.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::connection;

namespace {

const Loss kLong{1h, 0ms, seconds(0)};

Waits list_of(std::vector<std::string> keys, const Waits::Random& random = most_of) {
  Waits waits(random);
  waits.follow(std::move(keys));
  return waits;
}

}  // namespace

TEST_CASE(
    "[conn-10] a round is one pass over the list from the server that was lost, and the next round begins there") {
  auto waits = list_of({"a", "b", "c"});
  waits.start_at(1);
  waits.established();
  CHECK(waits.after_loss(kNow, kLong) == kNow);
  for (const std::size_t next : {2U, 0U}) {
    CHECK(waits.after_failure(kNow, kFailure) == kNow);
    CHECK(waits.server() == next);
  }
  CHECK(waits.after_failure(kNow, kFailure) == kNow + 1s);
  CHECK(waits.server() == 1);
}

TEST_CASE("[conn-10] a reset to the first begins at the head of the list, another where it is") {
  auto waits = list_of({"a", "b", "c"});
  waits.start_at(2);
  waits.reset(false);
  CHECK(waits.server() == 2);
  waits.reset(true);
  CHECK(waits.server() == 0);
  CHECK(waits.due() <= kNow);
}

TEST_CASE("[conn-19] all 27 servers down: one pass at once, then rounds that wait longer and longer") {
  std::vector<std::string> keys;
  for (int i = 0; i < 27; ++i) keys.push_back("s" + std::to_string(i));
  auto waits = list_of(keys);
  TimePoint now = kNow;
  int attempts = 0;
  while (now < kNow + 1h) {
    now = waits.after_failure(now, kFailure);
    ++attempts;
  }
  CHECK(attempts < 27 * 25);  // nine rounds to 256 s, then one each 300 s
}

TEST_CASE("[conn-15] other credentials end the wait of a 403, and nothing else that a cloud asked for") {
  auto waits = list_of({"a", "b"});
  CHECK(waits.after_failure(kNow, kRefused) == kNow);  // to b
  CHECK(waits.after_failure(kNow, asked(100)) == kNow + 120s);
  waits.credentials_changed();
  waits.hurry(kNow);
  CHECK(waits.due() == kNow);
  CHECK(waits.server() == 0);
  CHECK(waits.asked("b", kNow) == kNow + 120s);
}

TEST_CASE("[conn-19] a refused server and one with Retry-After are left out of the rounds until their time") {
  auto waits = list_of({"a", "b"}, least_of);
  CHECK(waits.after_failure(kNow, kRefused) == kNow);  // to b
  CHECK(waits.after_failure(kNow, kFailure) == kNow + 1s);
  CHECK(waits.server() == 1);
  CHECK(waits.after_failure(kNow + 1s, asked(30)) == kNow + 31s);  // b is free before a
  CHECK(waits.server() == 1);
  CHECK(waits.asked("a", kNow) == kNow + 1min);
  CHECK(waits.after_failure(kNow + 2min, kFailure) == kNow + 2min);
  CHECK(waits.server() == 0);
}

TEST_CASE("[conn-20] a new configuration ends the own backoff at once") {
  auto waits = list_of({"a"});
  for (int i = 0; i < 8; ++i) (void)waits.after_failure(kNow, kFailure);
  CHECK(waits.due() == kNow + 128s);
  waits.hurry(kNow + 10ms);
  CHECK(waits.due() == kNow + 10ms);
  CHECK(waits.after_failure(kNow + 1s, kFailure) == kNow + 2s);  // and the doubling begins anew
}

TEST_CASE("[conn-20] a change of the network ends the own backoff, yet floods of changes make no floods of attempts") {
  auto waits = list_of({"a"});
  for (int i = 0; i < 8; ++i) (void)waits.after_failure(kNow, kFailure);
  SECTION("later") {
    waits.network_changed(kNow + 10s);
    CHECK(waits.due() == kNow + 10s);
  }
  SECTION("within the first second") {
    waits.network_changed(kNow + 10ms);
    CHECK(waits.due() == kNow + 1s);
  }
  SECTION("a sleep: within 2 s") {
    waits.resumed(kNow + 10s);
    CHECK(waits.due() == kNow + 12s);
  }
}

TEST_CASE("[conn-19] after a loss that was local the spread is at most 2 s, whatever the cloud asked for") {
  Waits waits(most_of, 1);
  Loss loss{1h, 3600s, seconds(0)};
  CHECK(waits.after_loss(kNow, loss) == kNow + 3600s);
  waits.network_changed(kNow + 1min);
  CHECK(waits.due() == kNow + 1min + 2s);
  loss.local = true;
  CHECK(waits.after_loss(kNow, loss) == kNow + 2s);
  loss.spread = 1s;
  CHECK(waits.after_loss(kNow, loss) == kNow + 1s);
}

TEST_CASE("[conn-20] what a server asked for ends early only by a reset or for another server") {
  auto waits = list_of({"a", "b"}, least_of);
  TimePoint until;
  const int which = GENERATE(0, 1, 2, 3);
  INFO(which);
  if (which == 0) until = waits.after_removal(kNow, kLong);
  if (which == 1) until = waits.after_twin(kNow, kLong);
  if (which == 2) until = waits.after_try_later(kNow, kLong);
  if (which == 3) until = waits.after_drain(kNow, {1h, 0ms, seconds(60)});
  CHECK(until >= kNow + 30s);
  waits.hurry(kNow);
  CHECK(waits.due() == until);
  waits.network_changed(kNow + 5s);
  waits.resumed(kNow + 5s);
  waits.follow({"a", "b", "c"});
  CHECK(waits.due() == until);
  CHECK(waits.server() == 0);
  SECTION("a reset") {
    waits.reset(false);
    CHECK(waits.due() <= kNow);
  }
  SECTION("its server is no longer in the list, and comes back") {
    waits.follow({"b", "c"});
    CHECK(waits.due() <= kNow + 5s);
    CHECK(waits.server() == 0);
    CHECK(waits.asked("b", kNow) == std::nullopt);
    waits.follow({"a"});
    CHECK(waits.due() == until);
  }
  SECTION("a lease names another server") {
    waits.follow({"leased", "a", "b"});
    CHECK(waits.server() == 1);
    waits.begin_at_first(kNow + 5s);
    CHECK(waits.server() == 0);
    CHECK(waits.due() <= kNow + 5s);
  }
}

TEST_CASE("Retry-After of the only server holds through every change but a reset") {
  auto waits = list_of({"a"}, least_of);
  CHECK(waits.after_failure(kNow, asked(600)) == kNow + 600s);
  waits.hurry(kNow);
  waits.network_changed(kNow + 5s);
  CHECK(waits.due() == kNow + 600s);
  waits.follow({"a", "new"});
  CHECK(waits.due() <= kNow + 5s);  // for another server
  CHECK(waits.server() == 1);
}

TEST_CASE("without any server the wait has no end until there is one") {
  auto waits = list_of({});
  CHECK(waits.due() == TimePoint::max());
  waits.hurry(kNow);
  CHECK(waits.due() == TimePoint::max());
  waits.follow({"a"});
  waits.hurry(kNow);
  CHECK(waits.due() <= kNow);
  CHECK(waits.server() == 0);
}

TEST_CASE("what servers ask for is bounded in number") {
  Waits waits(least_of);
  for (std::size_t i = 0; i < 2 * Waits::kAsksMax; ++i) {
    waits.follow({"s" + std::to_string(i)});
    (void)waits.after_failure(kNow, asked(600));
  }
  CHECK(waits.memory().asks.size() == Waits::kAsksMax);
}

TEST_CASE("[conn-24] 15 minutes after a removal and the doubling after a twin outlive a restart") {
  const auto wall = std::chrono::system_clock::from_time_t(1'800'000'000);
  const Moment before{kNow, seconds(5000), wall, "boot-1"};
  auto waits = list_of({"a", "b"}, least_of);
  (void)waits.after_failure(kNow, asked(600));  // a round's affair, not kept
  (void)waits.after_removal(kNow, kLong);       // of b
  waits.follow({"c"});
  for (int i = 0; i < 3; ++i) (void)waits.after_twin(kNow, kLong);
  const std::string text = text_of(lasting(waits.memory()), before);
  Waits again(least_of);
  SECTION("in the same boot") {
    again.restore(memory_of(text, {TimePoint(5min), seconds(5100), wall, "boot-1"}));
    again.follow({"b", "c"});
    CHECK(again.due() == TimePoint(5min + 140s));  // the turn is open
    CHECK(again.server() == 1);
    again.start_at(0);  // the server that asked for it was the last that was connected
    CHECK(again.due() == TimePoint(5min + 800s));
    CHECK(again.asked("a", TimePoint(5min)) == std::nullopt);
    CHECK(again.asked("c", TimePoint(5min)) == TimePoint(5min + 140s));
    again.follow({"c"});
    CHECK(again.after_twin(kNow, kLong) == kNow + 480s);
  }
  SECTION("after another boot the wall clock tells") {
    again.restore(memory_of(text, {TimePoint(1min), seconds(10), wall + 100s, "boot-2"}));
    again.follow({"b"});
    CHECK(again.due() == TimePoint(1min + 800s));
    again.restore(memory_of(text, {TimePoint(1min), seconds(10), wall + 1h, "boot-2"}));
    again.follow({"b"});
    CHECK(again.due() == TimePoint(1min));
    // It asks at once, and every 15 minutes still.
    CHECK(again.after_failure(kNow, kRefused) == kNow + 15min);
    again.authenticated();
    CHECK(lasting(again.memory()).asks.count("b") == 0);
  }
  SECTION("and where it cannot be, the whole wait begins anew") {
    again.restore(memory_of(text, {TimePoint(1min), seconds(10), wall - 24h, "boot-2"}));
    again.follow({"b"});
    CHECK(again.due() == TimePoint(1min + 900s));
  }
}

TEST_CASE("a file of waits that is none is nothing remembered") {
  const Moment at{kNow, seconds(10), std::chrono::system_clock::now(), "b"};
  for (const char* text : {"", "{", "[]", R"({"servers":7})", R"({"servers":[7,{},{"server":""}],"twins":"x"})"})
    CHECK(memory_of(text, at) == Waits::Memory{});
  const auto wild =
      memory_of(R"({"servers":[{"server":"a","wait_s":9007199254740991,"ends_at_s":9007199254740991}]})", at);
  CHECK(wild.asks.at("a").until == kNow + 1h);
}
