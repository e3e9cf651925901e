#include "core/connection/waits.hpp"

#include "core/connection/test_waits.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::connection;

namespace {

Loss lived(milliseconds life, milliseconds spread) { return {life, spread, seconds(0)}; }

}  // namespace

TEST_CASE("rounds wait 1 s doubling to 5 minutes, never less than 1 s") {
  Waits longest(most_of, 1), shortest(least_of, 1);
  for (const auto most : {1s, 2s, 4s, 8s, 16s, 32s, 64s, 128s, 256s, 300s, 300s}) {
    CHECK(longest.after_failure(kNow, kFailure) == kNow + most);
    CHECK(shortest.after_failure(kNow, kFailure) == kNow + 1s);
  }
  for (int i = 0; i < 100; ++i) CHECK(longest.after_failure(kNow, kFailure) == kNow + 300s);
}

TEST_CASE("the backoff begins anew after 60 s of an established connection, not before") {
  Waits waits(most_of, 1);
  for (int i = 0; i < 5; ++i) (void)waits.after_failure(kNow, kFailure);
  SECTION("59 s are not enough") {
    (void)waits.after_loss(kNow, lived(59s, 0ms));
    CHECK(waits.after_failure(kNow, kFailure) == kNow + 32s);
  }
  SECTION("60 s are") {
    (void)waits.after_loss(kNow, lived(60s, 0ms));
    CHECK(waits.after_failure(kNow, kFailure) == kNow + 1s);
  }
}

TEST_CASE("the first request after a loss comes within the spread of the registration") {
  Waits waits(most_of, 1);
  CHECK(waits.after_loss(kNow, lived(2min, 2s)) == kNow + 2s);
  CHECK(waits.after_loss(kNow, lived(2min, 3600s)) == kNow + 3600s);
  CHECK(waits.after_loss(kNow, lived(2min, 0s)) == kNow);
}

TEST_CASE("a server that accepts and drops at once is not asked in a tight loop") {
  Waits waits(most_of, 1);
  CHECK(waits.after_loss(kNow, lived(0ms, 0s)) == kNow);
  CHECK(waits.after_loss(kNow, lived(0ms, 0s)) == kNow + 1s);
  CHECK(waits.after_loss(kNow, lived(0ms, 0s)) == kNow + 2s);
  CHECK(waits.after_loss(kNow, lived(0ms, 0s)) == kNow + 4s);
  CHECK(waits.after_loss(kNow, lived(60s, 0s)) == kNow);
}

TEST_CASE("a refused server is asked again after 1 to 5 minutes") {
  CHECK(Waits(least_of, 1).after_failure(kNow, kRefused) == kNow + 1min);
  CHECK(Waits(most_of, 1).after_failure(kNow, kRefused) == kNow + 5min);
}

TEST_CASE("Retry-After is honoured, clamped to 1 s to 1 h, plus up to a fifth") {
  CHECK(Waits(least_of, 1).after_failure(kNow, asked(30)) == kNow + 30s);
  CHECK(Waits(most_of, 1).after_failure(kNow, asked(30)) == kNow + 36s);
  CHECK(Waits(least_of, 1).after_failure(kNow, asked(100'000)) == kNow + 1h);
  CHECK(Waits(least_of, 1).after_failure(kNow, asked(0)) == kNow + 1s);
}

TEST_CASE("inside a round the next server follows at once, and what one server asked for holds for it alone") {
  Waits waits(least_of, 3);
  CHECK(waits.server() == 0);
  CHECK(waits.after_failure(kNow, asked(600)) == kNow);
  CHECK(waits.server() == 1);
  CHECK(waits.after_failure(kNow, kFailure) == kNow);
  CHECK(waits.server() == 2);
  CHECK(waits.after_failure(kNow, kFailure) == kNow + 1s);  // the round is over; server 0 is not asked yet
  CHECK(waits.server() == 1);
}

TEST_CASE("after 4003 and 4010 the device asks every 15 minutes until it is authenticated") {
  Waits waits(least_of, 1);
  CHECK(waits.after_removal(kNow, lived(1h, 0s)) == kNow + 15min);
  CHECK(waits.after_failure(kNow, kRefused) == kNow + 15min);
  CHECK(waits.after_failure(kNow, kFailure) == kNow + 15min);
  CHECK(waits.after_failure(kNow, asked(3600)) == kNow + 1h);
  waits.authenticated();
  CHECK(waits.after_failure(kNow + 2h, kFailure) < kNow + 2h + 15min);
}

TEST_CASE("a replaced device waits 60 s doubling to 1 h, and a twin's turn does not end the doubling") {
  Waits waits(least_of, 1);
  for (const milliseconds wait : {60s, 120s, 240s, 480s, 960s, 1920s, 3600s, 3600s})
    CHECK(waits.after_twin(kNow, lived(wait, 0s)) == kNow + wait);
  CHECK(waits.after_twin(kNow, lived(2h, 0s)) == kNow + 60s);
}

TEST_CASE("1013 waits at least 30 s after the spread, a drain as long as it asked and without the spread") {
  Waits waits(most_of, 1);
  CHECK(waits.after_try_later(kNow, lived(1h, 2s)) == kNow + 32s);
  CHECK(waits.after_drain(kNow, {1h, 2s, seconds(90)}) == kNow + 90s);
  CHECK(waits.after_drain(kNow, {1h, 2s, seconds(0)}) == kNow + 1s);
}

TEST_CASE("an operator's reset ends every wait") {
  Waits waits(least_of, 1);
  (void)waits.after_removal(kNow, lived(1h, 0s));
  waits.reset(false);
  CHECK(waits.after_failure(kNow, kFailure) == kNow + 1s);
}
