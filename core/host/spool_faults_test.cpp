#include <sys/resource.h>

#include "core/host/spool_stage.hpp"

// A disk that refuses, and files that are not as they were left.
using namespace hawser;
using namespace hawser::host;
using namespace hawser::host::testing;

TEST_CASE("[F95] cut at every byte, the records before are there and the torn one is counted") {
  Stage stage;
  for (const char* each : {"first", "second", "third"}) stage.add(each);
  REQUIRE(stage.spool->sync());
  const fs::path segment = stage.segments().at(0);
  const std::string whole = slurp(segment);
  const std::size_t head = spool_format::kSegmentHeaderBytes, record = spool_format::kRecordHeaderBytes;
  const std::vector<std::size_t> ends = {head + record + 5, head + 2 * record + 11, head + 3 * record + 16};
  for (std::size_t length = 0; length < ends[2]; ++length) {
    INFO("cut to " << length);
    stage.spool.reset();
    spit(segment, whole.substr(0, length));
    stage.open();
    const Texts wanted = {"first", "second"};
    const std::size_t kept = length >= ends[1] ? 2 : length >= ends[0] ? 1 : 0;
    CHECK(stage.all() == Texts(wanted.begin(), wanted.begin() + static_cast<long>(kept)));
    CHECK(stage.recovery.damaged_segments == (length < head));
    CHECK((stage.recovery.torn_bytes > 0) == (length > head && length != ends[0] && length != ends[1]));
    CHECK(stage.add("again") == kept + 1);
    REQUIRE(stage.spool->sync());
    stage.open();
    CHECK(stage.all().back() == "again");
    CHECK(stage.recovery.torn_bytes == 0);
    for (const auto& each : stage.segments()) fs::remove(each);
    spit(segment, whole);
  }
}

TEST_CASE("[F96] with any byte flipped at most one record is lost, it is counted, and the others go on") {
  Stage stage;
  Texts written;
  for (int i = 0; i < 30; ++i) {
    written.push_back(std::string(static_cast<std::size_t>(60 + i), static_cast<char>('a' + i % 26)));
    stage.add(written.back());
  }
  REQUIRE(stage.spool->sync());
  const fs::path segment = stage.segments().at(0);
  const std::string whole = slurp(segment);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    INFO("byte " << at);
    stage.spool.reset();
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x41);
    spit(segment, flipped);
    stage.open();
    const Texts found = stage.all();
    REQUIRE(found.size() >= written.size());
    std::size_t lost = 0;
    for (std::size_t i = 0; i < written.size(); ++i) lost += found[i] != written[i];
    CHECK(lost <= 1);
    CHECK(stage.recovery.damaged_records == lost);
    CHECK((lost == 0 || !stage.recovery.words.empty()));
    if (lost == 1 && stage.spool->gap(1)) CHECK(stage.spool->gap(1)->to == 1);
    CHECK(stage.add("more") == written.size() + 1);
    for (const auto& each : stage.segments()) fs::remove(each);
  }
}

TEST_CASE("[F97] a segment or stream file of NULs, or empty, never stops a start") {
  Stage stage(64 * 1024);
  for (int i = 0; i < 12; ++i) stage.add(std::string(2500, static_cast<char>('a' + i)));
  REQUIRE(stage.spool->sync());
  REQUIRE(stage.segments().size() == 4);
  const std::size_t which = GENERATE(0u, 1u, 2u, 3u, 4u);
  const std::size_t length = GENERATE(0u, 1u, 5000u);
  stage.spool.reset();
  spit(which == 4 ? stage.path / "stream" : stage.segments()[which], std::string(length, '\0'));
  stage.open(64 * 1024);
  INFO(stage.words());
  CHECK(stage.recovery.records == (which == 4 ? 12 : 9));
  CHECK(stage.spool->stream().id == (which >= 3 ? "stream-2" : "stream-1"));  // or who knows the numbers?
  CHECK(stage.add("more") != 0);
  CHECK(stage.spool->sync());
  CHECK(stage.all().back() == "more");
}

TEST_CASE("[F98] a missing middle segment is a gap from its first to its last number, reported, and the rest goes on") {
  Stage stage(64 * 1024);
  for (int i = 0; i < 12; ++i) stage.add(std::string(2500, static_cast<char>('a' + i)));
  REQUIRE(stage.spool->sync());
  fs::remove(stage.segments().at(1));
  stage.open(64 * 1024);
  CHECK(stage.recovery.missing_segments == 1);
  CHECK(stage.words().find("records 4 to 6") != std::string::npos);
  const auto gap = stage.spool->gap(4);
  REQUIRE(gap);
  CHECK(gap->from == 4);
  CHECK(gap->to == 6);
  CHECK(stage.all()[6] == std::string(2500, 'g'));
}

TEST_CASE(
    "[F99] with an older stream file the old numbers come again; a newer one takes what lies below it as "
    "acknowledged") {
  Stage stage;
  for (const char* each : {"a", "b", "c"}) stage.add(each);
  REQUIRE(stage.spool->sync());
  const std::string older = slurp(stage.path / "stream");
  const fs::path segment = stage.segments().at(0);
  const std::string data = slurp(segment);
  stage.spool->release_through(2);
  REQUIRE(stage.spool->new_stream(2));
  const std::string newer = slurp(stage.path / "stream");
  SECTION("older") {
    stage.spool.reset();
    spit(stage.path / "stream", older);
    stage.open();
    CHECK(stage.spool->stream().id == "stream-1");
    CHECK(stage.spool->stream().base == 0);
    CHECK(stage.all() == Texts{"c"});  // number 3 of the old stream
  }
  SECTION("newer than some") {
    stage.spool.reset();
    spit(segment, data);
    stage.open();
    CHECK(stage.spool->stream().base == 2);
    CHECK(stage.all() == Texts{"c"});
  }
  SECTION("newer than all") {
    stage.spool.reset();
    spit(segment, data);
    spit(stage.path / "stream", spool_format::to_bytes(spool_format::StreamFile{"far-ahead", 90, ""}));
    stage.open();
    CHECK(stage.words().find("newer") != std::string::npos);
    CHECK(stage.all().empty());
    CHECK(stage.add("d") == 91);
  }
}

TEST_CASE("[B59] a segment of a later version is kept untouched under another name, counted and reported") {
  Stage stage(64 * 1024);
  for (int i = 0; i < 9; ++i) stage.add(std::string(2500, static_cast<char>('a' + i)));
  REQUIRE(stage.spool->sync());
  stage.spool.reset();
  const fs::path segment = stage.segments().at(1);
  std::string bytes = slurp(segment);
  spool_format::RecordHeader later;
  later.version = 2;
  later.kind = 1;
  later.ticket = 6;
  bytes.resize(spool_format::kSegmentHeaderBytes + 2 * (spool_format::kRecordHeaderBytes + 2500));
  bytes += spool_format::to_bytes(later, std::string(2500, 'z'), 2);
  spit(segment, bytes);
  stage.open(64 * 1024);
  CHECK(stage.recovery.unknown_segments == 1);
  CHECK(stage.words().find(".unknown") != std::string::npos);
  CHECK(slurp(segment.string() + ".unknown") == bytes);
  CHECK(stage.spool->gap(4)->to == 6);
  CHECK(stage.recovery.records == 6);
}

TEST_CASE("[B58] a record that is longer than any may be is passed over, and the stream goes on") {
  Stage stage;
  stage.add("a");
  REQUIRE(stage.spool->sync());
  stage.spool.reset();
  const fs::path segment = stage.segments().at(0);
  std::string bytes = slurp(segment);
  spool_format::RecordHeader header;
  header.kind = 1;
  header.ticket = 2;
  header.other = 1;
  std::string huge = spool_format::to_bytes(header, std::string(kSpoolRecordBytesMax + 1, 'x'), 1);
  header.ticket = 3;
  header.other = 2;
  spit(segment, bytes + huge + spool_format::to_bytes(header, "c", 1));
  stage.open();
  CHECK(stage.all() == Texts{"a", "-", "c"});
  CHECK(stage.spool->gap(2)->reason == "too_big");
  CHECK(stage.recovery.damaged_records == 1);
}

TEST_CASE("[F92] after an fsync that failed the records are written anew in another segment") {
  Stage stage;
  stage.add("a");
  REQUIRE(stage.spool->sync());
  stage.add("b");
  stage.add("c");
  stage.wishes.sync = true;
  CHECK_FALSE(stage.spool->sync());
  CHECK(stage.spool->accepted() == 1);
  CHECK(stage.all() == Texts{"a", "b", "c"});
  stage.wishes.sync = false;
  CHECK(stage.add("d") == 4);
  REQUIRE(stage.spool->sync());
  CHECK(stage.spool->accepted() == 4);
  REQUIRE(stage.segments().size() == 2);
  CHECK(slurp(stage.segments()[0]).find('b') == std::string::npos);
  stage.open();
  CHECK(stage.all() == Texts{"a", "b", "c", "d"});
  CHECK(stage.recovery.words.empty());
}

TEST_CASE("[F90] a disk that is full takes nothing, keeps what it has, and goes on when there is room again") {
  Stage stage;
  stage.add("a");
  REQUIRE(stage.spool->sync());
  stage.wishes.append = true;
  for (int i = 0; i < 20; ++i) CHECK(stage.spool->append(Spool::Kind::Payload, "b").error().code == "io");
  CHECK(stage.spool->next() == 2);
  CHECK(stage.segments().size() == 1);
  stage.wishes.append = false;
  CHECK(stage.add("b") == 2);
  REQUIRE(stage.spool->sync());
  CHECK(stage.all() == Texts{"a", "b"});
  stage.open();
  CHECK(stage.all() == Texts{"a", "b"});
  CHECK(stage.recovery.words.empty());
}

TEST_CASE("[F91] without inodes the open segment goes on, and another one waits for room") {
  Stage stage(64 * 1024);
  stage.add("a");
  stage.wishes.create = true;
  CHECK(stage.add("b") == 2);
  REQUIRE(stage.spool->sync());
  CHECK(stage.spool->append(Spool::Kind::Payload, std::string(10000, 'x')).error().code == "io");
  stage.wishes.create = false;
  CHECK(stage.add(std::string(10000, 'x')) == 3);
}

TEST_CASE("[F100] a file size limit is taken as the end of one segment, not of the process") {
  Stage stage;
  rlimit old{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &old) == 0);
  rlimit small = old;
  small.rlim_cur = 10000;
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &small) == 0);
  std::uint64_t last = 0;
  for (int i = 0; i < 20; ++i) last = stage.add(std::string(3000, static_cast<char>('a' + i)));
  const auto too_long = stage.spool->append(Spool::Kind::Payload, std::string(20000, 'x'));
  const Status synced = stage.spool->sync();
  ::setrlimit(RLIMIT_FSIZE, &old);
  CHECK(last == 20);
  CHECK(synced);
  REQUIRE_FALSE(too_long);
  CHECK(too_long.error().message.find("RLIMIT_FSIZE") != std::string::npos);
  stage.open();
  CHECK(stage.recovery.records == 20);
}

TEST_CASE("[F102] a folder that is removed while in use is made again, said, and takes records") {
  Stage stage;
  stage.add("a");
  REQUIRE(stage.spool->sync());
  stage.add("b");
  fs::remove_all(stage.path);
  const Status said = stage.spool->sync();
  REQUIRE_FALSE(said);
  CHECK(said.error().message.find("was removed") != std::string::npos);
  REQUIRE(stage.spool->sync());
  CHECK(stage.spool->accepted() == 2);
  CHECK(stage.add("c") == 3);
  REQUIRE(stage.spool->sync());
  CHECK(stage.spool->read(1).error().code == "damaged");
  CHECK(stage.all() == Texts{"-", "b", "c"});
  const std::string stream = stage.spool->stream().id;
  stage.open();
  CHECK(stage.spool->stream().id == stream);
  CHECK(stage.all() == Texts{"-", "b", "c"});
}

TEST_CASE("[F103] a folder of another user or open to others is refused with its path and the fix") {
  TestFolder folder;
  const fs::path path = folder.path() / "spool";
  fs::create_directory(path);
  fs::permissions(path, fs::perms(0755));
  auto files = spool_folder(path);
  REQUIRE_FALSE(files);
  CHECK(files.error().message.find(path.string() + " is open to other users") != std::string::npos);
  CHECK(files.error().message.find("chmod 700 " + path.string()) != std::string::npos);
  if (::geteuid() != 0) return;
  fs::permissions(path, fs::perms(0700));
  REQUIRE(::chown(path.c_str(), 12345, 12345) == 0);
  files = spool_folder(path);
  REQUIRE_FALSE(files);
  CHECK(files.error().message.find("belongs to user 12345, not to 0") != std::string::npos);
}
