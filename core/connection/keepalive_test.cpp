#include "core/connection/keepalive.hpp"

#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::connection;
using namespace std::chrono_literals;

namespace {
const TimePoint kStart{std::chrono::hours(1)};
}

TEST_CASE("[conn-4] keepalives go out at the interval, numbered from 1") {
  Keepalive keepalive(kStart, 70s, 180s, 3);
  CHECK(keepalive.turn(kStart) == Keepalive::Due::Nothing);
  CHECK(keepalive.turn(kStart + 69s) == Keepalive::Due::Nothing);
  for (int i = 0; i < 5; ++i) {
    const TimePoint due = kStart + 70s + i * 180s;
    CHECK(keepalive.next() == due);
    CHECK(keepalive.turn(due) == Keepalive::Due::Send);
    CHECK(keepalive.seq() == i + 1);
    CHECK(keepalive.acknowledged(i + 1));
    CHECK(keepalive.turn(due + 1s) == Keepalive::Due::Nothing);
  }
}

TEST_CASE("[conn-4] after count unanswered keepalives the connection counts as expired") {
  Keepalive keepalive(kStart, 0s, 10s, 3);
  CHECK(keepalive.turn(kStart) == Keepalive::Due::Send);
  CHECK(keepalive.turn(kStart + 10s) == Keepalive::Due::Send);
  CHECK(keepalive.turn(kStart + 20s) == Keepalive::Due::Send);
  CHECK(keepalive.turn(kStart + 29s) == Keepalive::Due::Nothing);
  CHECK(keepalive.turn(kStart + 30s) == Keepalive::Due::Expired);
}

TEST_CASE("only an acknowledgement of the newest keepalive resets the count") {
  Keepalive keepalive(kStart, 0s, 10s, 2);
  CHECK_FALSE(keepalive.acknowledged(0));
  (void)keepalive.turn(kStart);
  (void)keepalive.turn(kStart + 10s);  // 1 is unanswered
  CHECK_FALSE(keepalive.acknowledged(1));
  CHECK_FALSE(keepalive.acknowledged(3));
  SECTION("the newest") {
    CHECK(keepalive.acknowledged(2));
    CHECK(keepalive.turn(kStart + 20s) == Keepalive::Due::Send);
    CHECK(keepalive.turn(kStart + 30s) == Keepalive::Due::Send);
    CHECK(keepalive.turn(kStart + 40s) == Keepalive::Due::Expired);
  }
  SECTION("others") { CHECK(keepalive.turn(kStart + 20s) == Keepalive::Due::Expired); }
}

TEST_CASE("an extra keepalive neither shifts the schedule nor counts as unanswered") {
  Keepalive keepalive(kStart, 0s, 10s, 1);
  CHECK(keepalive.extra(kStart) == 1);
  CHECK(keepalive.turn(kStart) == Keepalive::Due::Send);  // though the extra one has no answer
  CHECK(keepalive.seq() == 2);
  CHECK(keepalive.next() == kStart + 10s);
  CHECK(keepalive.extra(kStart) == 3);
  CHECK(keepalive.acknowledged(3));  // the newest answers for the scheduled one before it
  CHECK(keepalive.turn(kStart + 10s) == Keepalive::Due::Send);
}

TEST_CASE("extras that are asked for without end do not starve the scheduled keepalives of their answers") {
  Keepalive keepalive(kStart, 0s, 10s, 3);
  CHECK(keepalive.next_extra() <= kStart);
  CHECK(keepalive.extra(kStart) == 1);
  CHECK(keepalive.next_extra() == kStart + Keepalive::kExtraGap);
  CHECK(keepalive.acknowledged(1));
  CHECK(keepalive.next_extra() <= kStart);
  CHECK(keepalive.turn(kStart) == Keepalive::Due::Send);
  CHECK(keepalive.extra(kStart + 1s) == 3);
  CHECK_FALSE(keepalive.acknowledged(2));  // crossed the extra one on its way
  CHECK(keepalive.next_extra() == kStart + 1s + Keepalive::kExtraGap);
  CHECK(keepalive.acknowledged(3));
  for (int i = 1; i <= 5; ++i) {
    CHECK(keepalive.turn(kStart + i * 10s) == Keepalive::Due::Send);
    CHECK(keepalive.acknowledged(keepalive.seq()));
  }
}

TEST_CASE("a thread that slept sends one keepalive and one ping, not a burst") {
  Keepalive keepalive(kStart, 0s, 10s, 3);
  CHECK(keepalive.turn(kStart + 95s) == Keepalive::Due::Send);
  CHECK(keepalive.next() == kStart + 100s);
  PingSchedule ping(kStart, 10s);
  CHECK(ping.is_due(kStart + 95s));
  CHECK_FALSE(ping.is_due(kStart + 99s));
  CHECK(ping.is_due(kStart + 100s));
}

TEST_CASE("silence for the ping interval and 15 s is a hang-up") {
  const PingSchedule ping(kStart, 60s);
  CHECK_FALSE(ping.is_hung_up(kStart + 74s, kStart));
  CHECK(ping.is_hung_up(kStart + 75s, kStart));
  CHECK_FALSE(ping.is_hung_up(kStart + 75s, kStart + 1s));
  CHECK(ping.next(kStart) == kStart + 60s);
}
