#include "cloud/store/sqlite_store.hpp"

#include <unistd.h>

#include <filesystem>

#include "tests/catch.hpp"

using namespace hawser::cloud;

namespace {

struct File {
  File() : path((std::filesystem::temp_directory_path() / ("store_test." + std::to_string(::getpid()))).string()) {}
  ~File() {
    for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(path + suffix);
  }
  std::string path;
};

DeviceRecord added(const std::string& serial) {
  DeviceRecord device;
  device.serial = serial;
  device.generation = "g1";
  return device;
}

const StreamKey kKey{"S", "log_upload", "stream-1"};

ReceivedMessage chunk(Seq seq, std::int64_t offset, const std::string& body, std::int64_t lost = 0) {
  LogChunk log;
  log.source = "syslog";
  log.file_id = "f";
  log.offset = offset;
  log.end_offset = offset + static_cast<std::int64_t>(body.size());
  log.lost = lost;
  log.body = body;
  return {kKey, seq, seq, ReceivedMessage::Kind::Data, "", log};
}

std::string all_logs(Store& store) {
  std::string text;
  store.logs("S", "", [&](const StoredLog& log) { text += (log.contiguous ? "" : "!") + log.chunk.body; });
  return text;
}

}  // namespace

TEST_CASE("[data-1] a number has its effect once, whatever the caller remembers") {
  const File file;
  SqliteStore store(file.path);
  const std::vector<ReceivedMessage> first = {chunk(1, 0, "a\n"), chunk(2, 2, "b\n")};
  store.commit_received(first, 1);
  CHECK(store.inbound(kKey).stored == 2);
  CHECK_THROWS_AS(store.commit_received(first, 1), StoreError);
  const std::vector<ReceivedMessage> gap = {chunk(3, 4, "c\n"), chunk(5, 8, "e\n")};
  CHECK_THROWS_AS(store.commit_received(gap, 1), StoreError);  // all of a group, or nothing
  CHECK(store.inbound(kKey).stored == 2);
  CHECK(all_logs(store) == "a\nb\n");
}

TEST_CASE("[data-1] what was committed is there after the file is opened again") {
  const File file;
  {
    SqliteStore store(file.path);
    const ReceivedMessage message = chunk(1, 0, std::string("a\0\xff\n", 4));
    store.commit_received({&message, 1}, 1);
  }
  SqliteStore store(file.path);
  CHECK(all_logs(store) == std::string("a\0\xff\n", 4));
  CHECK(store.inbound(kKey).received == 1);
}

TEST_CASE("a hole in a file's offsets is noted unless it is declared lost") {
  const File file;
  SqliteStore store(file.path);
  const std::vector<ReceivedMessage> group = {chunk(1, 0, "a\n"), chunk(2, 10, "b\n", 8), chunk(3, 20, "c\n")};
  store.commit_received(group, 1);
  CHECK(all_logs(store) == "a\nb\n!c\n");
}

TEST_CASE("[state-2] an event's id is kept once for seven days") {
  const File file;
  SqliteStore store(file.path);
  EventRecord event;
  event.id = "e1";
  event.kind = "down";
  event.received_at = 1000;
  CHECK(store.add_events("S", {&event, 1}) == 1);
  CHECK(store.add_events("S", {&event, 1}) == 0);
  store.clean(1000 + SqliteStore::kEventAgeMax);
  CHECK(store.events("S", 10).size() == 1);
  store.clean(1001 + SqliteStore::kEventAgeMax);
  CHECK(store.events("S", 10).empty());
}

TEST_CASE("[data-1] outbound messages keep their order, and begin anew at 1 when the device lost its state") {
  const File file;
  SqliteStore store(file.path);
  REQUIRE(store.add_device(added("S")));
  const std::vector<std::string> payloads = {"one", "two", "three"};
  REQUIRE(store.queue_outbound("S", "config_push", payloads));
  const auto before = store.outbound("S", "config_push");
  CHECK(before.next_seq == 4);
  store.outbound_acked("S", "config_push", 1);
  store.renew_outbound("S", "config_push");
  const auto after = store.outbound("S", "config_push");
  CHECK(after.stream != before.stream);
  CHECK(after.next_seq == 3);
  CHECK(after.acked == 0);
  const auto left = store.outbound_after("S", "config_push", 0, 10);
  REQUIRE(left.size() == 2);
  CHECK((left[0].seq == 1 && left[0].payload == "two"));
  CHECK_FALSE(store.queue_outbound("S", "config_push", std::vector<std::string>(Store::kOutboundMessagesMax, "x")));
  CHECK_FALSE(store.queue_outbound("NOBODY", "config_push", payloads));
}

TEST_CASE("[conn-16] an unbinding code is right once, and five wrong ones in an hour are enough") {
  const File file;
  SqliteStore store(file.path);
  REQUIRE(store.add_device(added("S")));
  store.add_unbinding_code("S", "right", 1000);
  CHECK(store.try_unbind("S", "right", 1000) == UnbindOutcome::CodeExpired);
  store.add_unbinding_code("S", "second", 2000);
  CHECK(store.try_unbind("S", "second", 1500) == UnbindOutcome::Done);
  CHECK_FALSE(store.device("S"));
  CHECK(store.try_unbind("S", "second", 1500) == UnbindOutcome::CodeUsed);
  for (int i = 0; i < 5; ++i) CHECK(store.try_unbind("S", "wrong", 1600) == UnbindOutcome::CodeWrong);
  CHECK(store.try_unbind("S", "wrong", 1600) == UnbindOutcome::TooMany);
  CHECK(store.try_unbind("S", "wrong", 1600 + 3'600'001) == UnbindOutcome::CodeWrong);
}

TEST_CASE("[sec-6] what a device can make the store keep is bounded") {
  const File file;
  SqliteStore store(file.path);
  std::vector<ReceivedMessage> nacks, points;
  for (Seq seq = 1; seq <= 1100; ++seq) {
    nacks.push_back({kKey, seq, seq, ReceivedMessage::Kind::Nacked, "bad_payload", Nothing{}});
    points.push_back({{"S", "monitoring", "m"},
                      seq,
                      seq,
                      ReceivedMessage::Kind::Data,
                      "",
                      std::vector<MetricPoint>{{"n", "1", "{}", static_cast<double>(seq), seq}}});
  }
  store.commit_received(nacks, 1);
  const auto kept = store.inbound(kKey).nacked;
  CHECK(kept.size() == 1000);
  CHECK((kept.front() == 101 && kept.back() == 1100));
  store.commit_received(points, 1);
  const auto metrics = store.metrics("S", true);
  REQUIRE(metrics.size() == 1);
  CHECK(metrics[0].history.size() == static_cast<std::size_t>(SqliteStore::kHistoryPoints));
  CHECK(metrics[0].point.value > 1099.5);
  for (int i = 0; i < 20; ++i) {
    TokenRecord token;
    token.hash = "h" + std::to_string(i);
    token.serial = "S";
    token.expires_at = 100 + i;
    store.add_tokens({&token, 1});
  }
  CHECK_FALSE(store.token("h3"));
  CHECK(store.token("h4"));
}

TEST_CASE("another connection's change is seen, one's own is not") {
  const File file;
  SqliteStore one(file.path), two(file.path);
  const auto before = one.data_version();
  REQUIRE(one.add_device(added("A")));
  CHECK(one.data_version() == before);
  REQUIRE(two.add_device(added("B")));
  CHECK(one.data_version() != before);
}
