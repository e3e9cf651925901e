#include "core/host/test_session.hpp"
#include "tests/catch.hpp"
#include "tests/test_folder.hpp"

using namespace hawser;
using namespace hawser::host;
using namespace hawser::host::testing;

namespace {

// One process after another on the same spool.
struct Life {
  explicit Life(const TestFolder& folder)
      : delivery({folder.path() / "spool"}, outbox, events, [] { return std::string("stream"); }) {
    delivery.turn(now);
  }
  TimePoint now{1000s};
  Outbox outbox{kOutboxBytesDefault};
  FakeEvents events;
  Delivery delivery;
};

}  // namespace

TEST_CASE("[data-1] a message of send_source() waits for its plugin, which is asked once, and is never given up for it") {
  const TestFolder folder;
  const auto record = SourceRecord::of("file 7", "content", false);
  {
    Life first(folder);
    std::uint64_t ticket = 0;
    REQUIRE(first.outbox.push("content", false, &ticket, record.to_bytes()) == Outbox::Push::Taken);
    first.delivery.turn(first.now);
    REQUIRE(first.events.accepted == std::vector<std::uint64_t>{1});
    CHECK(first.delivery.read(1).payload == "content");  // still at hand
  }
  Life second(folder);
  REQUIRE(second.events.found == std::vector<std::pair<std::uint64_t, std::string>>{{1, "file 7"}});
  CHECK(second.events.resumed == 2);
  for (int hours = 0; hours < 3; ++hours) {
    second.delivery.turn(second.now + std::chrono::hours(hours));
    CHECK(second.delivery.read(1).kind == Outgoing::Kind::Later);
  }
  CHECK(second.delivery.next_due() == TimePoint::max());
  REQUIRE(second.events.asked.size() == 1);
  CHECK(second.events.asked[0].second.fits("content"));
  CHECK(second.events.dropped.empty());
  second.delivery.source_answer({1, "content", false, ""});
  CHECK(second.delivery.read(1).payload == "content");
}

TEST_CASE("[data-4] a message whose bytes its plugin has no more is refused, counted and passed over") {
  const TestFolder folder;
  {
    Life first(folder);
    std::uint64_t ticket = 0;
    const auto record = SourceRecord::of("file 7", "content", false);
    REQUIRE(first.outbox.push("content", false, &ticket, record.to_bytes()) == Outbox::Push::Taken);
    first.delivery.turn(first.now);
  }
  Life second(folder);
  REQUIRE(second.delivery.read(1).kind == Outgoing::Kind::Later);
  second.delivery.source_answer({1, std::nullopt, false, "source() does not have the bytes any more"});
  const auto outgoing = second.delivery.read(1);
  CHECK(outgoing.kind == Outgoing::Kind::Lost);
  CHECK(outgoing.reason == "expired");
  CHECK(second.events.dropped["expired"] == 1);
  CHECK(second.events.nacked == std::vector<std::pair<std::uint64_t, std::string>>{{1, "expired"}});
}
