#include "cloud/store/sqlite_store.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <set>

#include "cloud/store/schema.hpp"
#include "tests/catch.hpp"

using namespace hawser::cloud;

namespace {

struct File {
  File() : path((std::filesystem::temp_directory_path() / ("store_test." + std::to_string(::getpid()))).string()) {}
  ~File() {
    for (const char* suffix : {"", "-wal", "-shm", ".key"}) std::filesystem::remove(path + suffix);
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
  log.lines = std::count(body.begin(), body.end(), '\n');
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

TEST_CASE("[data-1] what a killed plugin sends again in a new stream has its effect once") {
  const File file;
  SqliteStore store(file.path);
  const std::vector<ReceivedMessage> first = {chunk(1, 0, "a\nb\n"), chunk(2, 4, "c\n")};
  store.commit_received(first, 1);
  std::vector<ReceivedMessage> again = {chunk(1, 2, "b\n"), chunk(2, 4, "c\nd\n"), chunk(3, 8, "e\n")};
  for (auto& message : again) message.key.stream = "stream-2";
  store.commit_received(again, 1);
  CHECK(all_logs(store) == "a\nb\nc\nd\ne\n");
  std::int64_t lines = 0;
  store.logs("S", "syslog", [&](const StoredLog& log) { lines += log.chunk.lines; });
  CHECK(lines == 5);
}

TEST_CASE("[sec-6] log messages without a body count too, and the oldest make room") {
  const File file;
  SqliteStore store(file.path);
  std::vector<ReceivedMessage> group;
  for (Seq seq = 1; seq <= 20; ++seq) group.push_back(chunk(seq, (seq - 1) << 24, std::string(16 << 20, 'x')));
  for (auto& message : group) store.commit_received({&message, 1}, 1);
  int rows = 0;
  store.logs("S", "", [&](const StoredLog&) { ++rows; });
  CHECK(rows == 15);  // 256 MiB with what a row costs beside its body
}

TEST_CASE("[sec-6] a device that has all its series cannot hold up the others with new ones") {
  const File file;
  SqliteStore store(file.path);
  const auto points = [](int first, int count) {
    std::vector<MetricPoint> made;
    for (int i = first; i < first + count; ++i) made.push_back({"n" + std::to_string(i), "1", "{}", 1.0, 1});
    return made;
  };
  const auto commit = [&](Seq seq, std::vector<MetricPoint> made) {
    const ReceivedMessage message{{"S", "monitoring", "m"}, seq, seq, ReceivedMessage::Kind::Data, "", std::move(made)};
    store.commit_received({&message, 1}, 1);
  };
  commit(1, points(0, SqliteStore::kSeriesPerDeviceMax));
  const auto began = std::chrono::steady_clock::now();
  commit(2, points(SqliteStore::kSeriesPerDeviceMax, 10'000));
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::seconds(2));  // counting for each took half a minute
  CHECK(store.metrics("S", false).size() == static_cast<std::size_t>(SqliteStore::kSeriesPerDeviceMax));
}

TEST_CASE("[mon-1] a value from a clock that ran ahead gives way to the next one") {
  const File file;
  SqliteStore store(file.path);
  constexpr Millis kNow = 1'700'000'000'000, kYear = 365LL * 24 * 3600 * 1000;
  const auto commit = [&](Seq seq, double value, Millis at) {
    const ReceivedMessage message{
        {"S", "monitoring", "m"},    seq, seq,
        ReceivedMessage::Kind::Data, "",  std::vector<MetricPoint>{{"n", "1", "{}", value, at}}};
    store.commit_received({&message, 1}, kNow);
  };
  commit(1, 1, kNow + kYear);
  commit(2, 2, kNow);
  commit(3, 3, kNow - 1000);  // late: not the last value
  CHECK(store.metrics("S", false).at(0).point.value < 2.5);
  CHECK(store.metrics("S", false).at(0).point.value > 1.5);
}

TEST_CASE("[sec-2] a serial's next owner sees nothing that arrived while it was removed") {
  const File file;
  SqliteStore store(file.path);
  REQUIRE(store.add_device(added("S")));
  REQUIRE(store.remove_device("S"));
  const ReceivedMessage late = chunk(1, 0, "secret\n");
  store.commit_received({&late, 1}, 1);
  REQUIRE(store.add_device(added("S")));
  CHECK(all_logs(store).empty());
  CHECK(store.inbound(kKey).stored == 0);
}

TEST_CASE("[sec-6] refused numbers of forgotten streams are forgotten with them") {
  const File file;
  SqliteStore store(file.path);
  const auto nack_on = [&](const std::string& stream) {
    const ReceivedMessage message{
        {"S", "log_upload", stream}, 1, 1, ReceivedMessage::Kind::Nacked, "bad_payload", Nothing{}};
    store.commit_received({&message, 1}, std::stoll(stream));
  };
  for (int i = 1; i <= SqliteStore::kStreamsPerServiceMax + 1; ++i) nack_on(std::to_string(i));
  CHECK(store.inbound({"S", "log_upload", "1"}).nacked.empty());
  CHECK(store.inbound({"S", "log_upload", "2"}).nacked.size() == 1);
}

TEST_CASE("[cfg-1] a revision is kept with its messages or not at all, and with what the device says of it") {
  const File file;
  SqliteStore store(file.path);
  REQUIRE(store.add_device(added("S")));
  RevisionRecord revision;
  revision.revision = "r1";
  revision.mode = "apply";
  revision.files = "[]";
  const std::vector<std::string> few = {"x"};
  CHECK_FALSE(store.push_revision("S", revision, std::vector<std::string>(Store::kOutboundMessagesMax + 1, "x")));
  CHECK(store.revisions("S").empty());
  REQUIRE(store.push_revision("S", revision, few));
  const auto say = [&](Seq seq, const std::string& which) {
    const ReceivedMessage message{
        {"S", "config_push", "c"},   seq, seq,
        ReceivedMessage::Kind::Data, "",  ConfigStatus{which, "rejected", "path_refused", "/etc/x is not allowed", ""}};
    store.commit_received({&message, 1}, 1000 + seq);
  };
  say(1, "r1");
  CHECK(store.revision("S", "r1")->reason == "path_refused");
  CHECK(store.revision("S", "r1")->detail == "/etc/x is not allowed");
  for (Seq seq = 2; seq < 300; ++seq) say(seq, "invented-" + std::to_string(seq));
  CHECK(store.revision("S", "r1"));
  CHECK(store.revisions("S").size() == static_cast<std::size_t>(SqliteStore::kRevisionsPerDeviceMax));
}

TEST_CASE("commands that a device does not answer are bounded, and said") {
  const File file;
  SqliteStore store(file.path);
  for (int i = 0; i < Store::kOpenCommandsMax; ++i)
    REQUIRE(store.add_command("S", {std::to_string(i), "state", "{}", "open", ""}, 1));
  CHECK_FALSE(store.add_command("S", {"one more", "state", "{}", "open", ""}, 1));
  CHECK(store.answer_command("S", "0", true, "{}"));
  CHECK(store.add_command("S", {"one more", "state", "{}", "open", ""}, 1));
}

TEST_CASE("[sec-2] a database that others could read is closed to them, and a newer one is refused in a sentence") {
  const File file;
  { SqliteStore store(file.path); }
  std::filesystem::permissions(file.path, std::filesystem::perms(0644));
  { SqliteStore store(file.path); }
  CHECK(std::filesystem::status(file.path).permissions() == std::filesystem::perms(0600));
  {
    Database database(file.path);
    database.script("PRAGMA user_version=99");
  }
  CHECK_THROWS_AS(SqliteStore(file.path), StoreError);
}

TEST_CASE("a database of the first version is brought up to the present one with what it holds") {
  const File file;
  {
    Database database(file.path);
    database.script(kSchema1);
    database.script("PRAGMA user_version=1; INSERT INTO revision VALUES('S','r','apply','confirmed','','','[]',1,1);");
  }
  SqliteStore store(file.path);
  REQUIRE(store.revision("S", "r"));
  CHECK(store.revision("S", "r")->state == "confirmed");
}

TEST_CASE("[conn-15] a password is sealed at rest, for its serial alone, and one of an earlier version is sealed too") {
  const File file;
  const auto raw = [&](const char* serial) {
    Database database(file.path);
    std::string text;
    database.query(
        "SELECT password FROM device WHERE serial=?", [&](const Row& row) { text = row.text(0); }, serial);
    return text;
  };
  {
    Database database(file.path);
    database.script(kSchema1);
    database.script(kSchema2);
    database.script(
        "PRAGMA user_version=2; INSERT INTO device(serial, model, generation, added_at, password)"
        " VALUES('OLD','','g',1,'in the clear');");
  }
  SqliteStore store(file.path);
  CHECK(store.password("OLD") == "in the clear");
  CHECK(store.device("OLD")->password_set);
  REQUIRE(store.add_device(added("S"), "s3cret"));
  CHECK(store.password("S") == "s3cret");
  for (const char* serial : {"OLD", "S"}) {
    CHECK(raw(serial).starts_with("gcm1:"));
    CHECK(raw(serial).find("s3cret") == std::string::npos);
  }
  CHECK(std::filesystem::status(file.path + ".key").permissions() == std::filesystem::perms(0600));
  {
    Database database(file.path);  // one row's secret in another's place opens nothing
    database.script("UPDATE device SET password=(SELECT password FROM device WHERE serial='S') WHERE serial='OLD'");
  }
  CHECK_THROWS_AS(store.password("OLD"), StoreError);
  CHECK(store.set_password("OLD", std::nullopt));
  CHECK(store.password("OLD") == std::nullopt);
  CHECK_FALSE(store.set_password("NOBODY", "x"));
  std::filesystem::remove(file.path + ".key");
  SqliteStore without_key(file.path);
  CHECK_THROWS_AS(without_key.password("S"), StoreError);
}

TEST_CASE("[state-2] what the cloud saw of connections is bounded, and ends with its binding") {
  const File file;
  SqliteStore store(file.path);
  REQUIRE(store.add_device(added("S")));
  for (int i = 0; i < Store::kLinkEventsPerDeviceMax + 5; ++i)
    store.note_link("S", "g1", {"", i % 2 == 0, i + 1, "192.0.2.1", 0, "", ""}, true);
  const auto events = store.link_events("S", 5000);
  CHECK(events.size() == static_cast<std::size_t>(Store::kLinkEventsPerDeviceMax));
  CHECK(events.back().at == Store::kLinkEventsPerDeviceMax + 5);
  store.note_link("S", "another generation", {"", true, 1, "", 0, "", ""}, true);
  CHECK(store.link_events("S", 5000).back().at == Store::kLinkEventsPerDeviceMax + 5);
  REQUIRE(store.remove_device("S"));
  CHECK(store.link_events("S", 5000).empty());
}

TEST_CASE("the server is told which serials a command concerned, and when it can no longer be told") {
  const File file;
  SqliteStore operators(file.path), server(file.path);
  std::int64_t seen = server.last_change();
  REQUIRE(operators.add_device(added("A")));
  CHECK(server.changed_since(seen)->empty());  // nobody of that serial is connected
  CHECK(operators.set_blocked("A", true));
  REQUIRE(operators.add_command("B", {"1", "state", "{}", "open", ""}, 1));
  CHECK(server.changed_since(seen) == std::set<std::string>{"A", "B"});
  CHECK(server.changed_since(seen)->empty());
  for (int i = 0; i < 3; ++i) CHECK(operators.set_blocked("A", false));
  {
    Database database(file.path);
    database.script("DELETE FROM change WHERE number<=(SELECT max(number) FROM change)-1");
  }
  CHECK(server.changed_since(seen) == std::nullopt);
  CHECK(server.changed_since(seen)->empty());
}

TEST_CASE("[state-4] a place for a bundle is good once, and for a while") {
  const File file;
  SqliteStore store(file.path);
  store.add_upload("h", "S", 1000);
  CHECK(store.take_upload("h", 1000) == std::nullopt);
  CHECK(store.take_upload("other", 10) == std::nullopt);
  CHECK(store.take_upload("h", 999) == "S");
  CHECK(store.take_upload("h", 999) == std::nullopt);
  CHECK(store.finish_upload("h", {"S", "done", "/x", "", 7}));
  CHECK(store.upload("h")->path == "/x");
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
