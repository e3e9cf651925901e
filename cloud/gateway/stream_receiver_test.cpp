#include "cloud/gateway/stream_receiver.hpp"

#include <unistd.h>
#include <zstd.h>

#include <filesystem>

#include "cloud/gateway/group_commit.hpp"
#include "cloud/gateway/strict_json.hpp"
#include "cloud/services/microservice.hpp"
#include "cloud/store/sqlite_store.hpp"
#include "tests/catch.hpp"

using namespace hawser::cloud;
using Verdict = StreamReceiver::Verdict;

namespace {

std::string compressed(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

std::string frame(char kind, std::int64_t seq, const std::string& payload) {
  std::string bytes(1, kind);
  for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>((seq >> shift) & 0xff);
  return bytes + payload;
}

}  // namespace

TEST_CASE("[data-1] numbers follow each other: known ones are duplicates, a hole is a gap") {
  StreamReceiver receiver(5);
  CHECK(receiver.message(5) == Verdict::Duplicate);
  CHECK(receiver.message(7) == Verdict::Gap);
  CHECK(receiver.message(6) == Verdict::Store);
  CHECK(receiver.message(6) == Verdict::Duplicate);
  CHECK(receiver.received() == 6);
  CHECK(receiver.stored() == 5);
  receiver.committed(6);
  CHECK(receiver.waiting() == 0);
}

TEST_CASE("[data-1] skipped numbers move the stream at their place only") {
  StreamReceiver receiver(5);
  Seq from = 7;
  CHECK(receiver.skipped(from, 9) == Verdict::Gap);
  from = 3;
  CHECK(receiver.skipped(from, 5) == Verdict::Duplicate);
  from = 4;
  CHECK(receiver.skipped(from, 8) == Verdict::Store);
  CHECK(from == 6);
  CHECK(receiver.message(9) == Verdict::Store);
}

TEST_CASE("binary headers are read strictly") {
  CHECK(parse_data(frame(2, 1, "x"))->durable);
  CHECK(parse_data(frame('\x82', 1, "x"))->compressed);
  CHECK_FALSE(parse_data(frame(1, 0, ""))->durable);
  CHECK_FALSE(parse_data(frame(1, 1, "")));
  CHECK_FALSE(parse_data(frame(2, 0, "")));
  CHECK_FALSE(parse_data(frame(3, 1, "")));
  CHECK_FALSE(parse_data(frame(2, -1, "")));
  CHECK_FALSE(parse_data("\x02"));
  CHECK_FALSE(parse_data(""));
}

TEST_CASE("[data-3] zstd payloads keep their limits") {
  const std::string text(100'000, 'a'), good = compressed(text);
  CHECK(*decompress(good, text.size()) == text);
  CHECK(*decompress(compressed(""), 0) == "");
  CHECK_FALSE(decompress(good, text.size() - 1));
  CHECK_FALSE(decompress(good + "x", text.size()));
  CHECK_FALSE(decompress(good + good, 2 * text.size()));
  CHECK_FALSE(decompress(good.substr(0, good.size() - 1), text.size()));
  CHECK_FALSE(decompress("", 10));
  CHECK_FALSE(decompress("nonsense", 10));
  CHECK_FALSE(decompress(std::string("\x50\x2a\x4d\x18\0\0\0\0", 8), 10));  // a skippable frame
}

TEST_CASE("[data-3] what the services cannot accept is refused with a code") {
  const auto monitoring = make_monitoring(), logs = make_log_upload(), config = make_config_push();
  for (const char* payload :
       {"", "{}", R"({"resourceMetrics":{}})", R"({"resourceMetrics":[1]})",
        R"({"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"a","gauge":{"dataPoints":[{}]}}]}]}]})"})
    CHECK_FALSE(monitoring->receive("S", payload, {}));
  CHECK_FALSE(monitoring->receive("S", R"({"resourceMetrics":[{"resource":{"attributes":[{"key":"device.id","value":
    {"stringValue":"OTHER"}}]}}]})",
                                  {}));
  CHECK(monitoring->receive("S", R"({"resourceMetrics":[]})", {}));
  const auto log = [&](const std::string& header, const std::string& body) {
    return logs->receive("S",
                         std::string("\0\0", 2) + static_cast<char>(header.size() >> 8) +
                             static_cast<char>(header.size() & 0xff) + header + body,
                         {});
  };
  const auto header = [](int end, int lines, const char* more) {
    return R"({"source":"s","file_id":"f","offset":0,"end_offset":)" + std::to_string(end) + R"(,"lines":)" +
           std::to_string(lines) + R"(,"first_at":"2026-01-01T00:00:00Z","format":"text")" + more + "}";
  };
  CHECK(log(header(2, 1, ""), "a\n"));
  CHECK(log(header(1, 1, R"(,"partial":true)"), "a"));
  CHECK_FALSE(log(header(1, 1, ""), "a"));
  CHECK_FALSE(log(header(2, 2, ""), "a\n"));
  CHECK_FALSE(log(header(3, 1, ""), "a\n"));
  CHECK_FALSE(logs->receive("S", std::string("\xff\xff\xff\xff{}", 6), {}));
  CHECK_FALSE(config->receive("S", R"({"type":"status","revision":"r","state":"made_up"})", {}));
  CHECK(config->receive("S", R"({"type":"status","revision":"r","state":"applied"})", {}));
}

namespace {

struct Listener : CommitListener {
  explicit Listener(Store& owner) : store(owner) {}
  void on_committed(Seq last) override {
    acked = last;
    stored_when_acked = store.inbound(key).stored;
  }
  void on_commit_failed() override { failed = true; }
  Store& store;
  StreamKey key{"S", "log_upload", "00000000-0000-4000-8000-000000000000"};
  Seq acked = 0, stored_when_acked = 0;
  bool failed = false;
};

ReceivedMessage message(const StreamKey& key, Seq seq) {
  return {key, seq, seq, ReceivedMessage::Kind::Data, "", Nothing{}};
}

}  // namespace

TEST_CASE("[data-1] an acknowledgement comes after the commit, once for a group") {
  const auto file = std::filesystem::temp_directory_path() / ("group_commit_test." + std::to_string(::getpid()));
  {
    SqliteStore store(file), reader(file);
    int armed = 0;
    GroupCommit commits(store, [&] { ++armed; });
    const auto listener = std::make_shared<Listener>(reader), other = std::make_shared<Listener>(reader);
    other->key.service = "monitoring";
    for (Seq seq = 1; seq <= 3; ++seq) commits.add(message(listener->key, seq), 100, listener, {});
    CHECK(armed == 1);
    CHECK(listener->acked == 0);
    commits.flush({});
    CHECK(listener->acked == 3);
    CHECK(listener->stored_when_acked == 3);
    // A stream whose number is wrong costs only itself.
    commits.add(message(listener->key, 9), 100, listener, {});
    commits.add(message(other->key, 1), 100, other, {});
    commits.flush({});
    CHECK(listener->failed);
    CHECK(other->acked == 1);
    // 1 MiB does not wait for the timer.
    commits.add(message(other->key, 2), GroupCommit::kBytesMax, other, {});
    CHECK(other->acked == 2);
  }
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(file.string() + suffix);
}

TEST_CASE("[sec-6] what waits for a commit is bounded by what it unfolded to, not by its size on the wire") {
  const auto file = std::filesystem::temp_directory_path() / ("group_weight_test." + std::to_string(::getpid()));
  {
    SqliteStore store(file);
    GroupCommit commits(store, [] {});
    const auto listener = std::make_shared<Listener>(store);
    LogChunk chunk;
    chunk.source = chunk.file_id = "f";
    chunk.body = std::string(GroupCommit::kBytesMax, 'x');
    commits.add({listener->key, 1, 1, ReceivedMessage::Kind::Data, "", std::move(chunk)}, 100, listener, {});
    CHECK(commits.empty());
    listener->key.service = "monitoring";
    commits.add({listener->key, 1, 1, ReceivedMessage::Kind::Data, "", std::vector<MetricPoint>(10'000)}, 100, listener,
                {});
    CHECK(commits.empty());
  }
  for (const char* suffix : {"", "-wal", "-shm"}) std::filesystem::remove(file.string() + suffix);
}

TEST_CASE("[sec-6] JSON that is small on the wire and large in memory is refused") {
  const auto nested = [](std::size_t values) {
    std::string text = "{\"a\":[[]";
    for (std::size_t i = 3; i < values; ++i) text += ",[]";
    return text + "]}";
  };
  CHECK(parse_strict(nested(kJsonValuesMax)));
  CHECK_FALSE(parse_strict(nested(kJsonValuesMax + 1)));
}

TEST_CASE("[sec-6] text for a terminal holds printable ASCII only, and reads the same") {
  const Json value = {{"a", "\x1b[31m\xc2\x9b\x7f\xc3\xa9\xe2\x80\xae"}};
  const std::string text = for_terminal(value);
  for (const char c : text) CHECK((c >= 0x20 && c < 0x7f));
  CHECK(Json::parse(text) == value);
}
