#include <sys/stat.h>

#include "core/host/spool_stage.hpp"

using namespace hawser;
using namespace hawser::host;
using namespace hawser::host::testing;

TEST_CASE("the checksum is CRC32C") { CHECK(spool_format::crc32c("123456789") == 0xE3069283); }

TEST_CASE("a spool that takes nothing makes no folder and touches no file") {
  Stage stage;
  CHECK(stage.spool->first() == 1);
  CHECK(stage.spool->next() == 1);
  CHECK(stage.spool->sync());
  stage.open();
  CHECK_FALSE(fs::exists(stage.path));
}

TEST_CASE("[data-1] a record is accepted after the fsync, and is there with its ticket and stream after a kill") {
  Stage stage;
  CHECK(stage.add("a") == 1);
  CHECK(*stage.spool->append(Spool::Kind::Source, "where") == 2);
  CHECK(stage.spool->accepted() == 0);
  REQUIRE(stage.spool->sync());
  CHECK(stage.spool->accepted() == 2);
  CHECK(stage.wishes.syncs == 3);  // the stream file, the beginning of the segment, and one for both records
  const std::string stream = stage.spool->stream().id;
  struct stat found {};
  REQUIRE(::stat(stage.path.c_str(), &found) == 0);
  CHECK((found.st_mode & 0777) == 0700);
  stage.open();
  CHECK(stage.recovery.records == 2);
  CHECK(stage.recovery.words.empty());
  CHECK(stage.all() == Texts{"a", "where"});
  CHECK(stage.spool->read(2)->kind == Spool::Kind::Source);
  CHECK(stage.spool->stream().id == stream);
  CHECK(stage.spool->stream().base == 0);
  CHECK(stage.add("b") == 3);
}

TEST_CASE("[data-1] what is acknowledged does not come back after a kill, and no ticket is given twice") {
  Stage stage;
  for (const char* each : {"a", "b", "c"}) stage.add(each);
  REQUIRE(stage.spool->sync());
  stage.spool->release_through(2);
  CHECK(stage.spool->first() == 3);
  CHECK(stage.spool->records() == 1);
  stage.open();
  CHECK(stage.spool->first() == 3);
  CHECK(stage.all() == Texts{"c"});
  stage.spool->release_through(3);
  stage.open();
  CHECK(stage.spool->first() == 4);
  CHECK(stage.spool->used() == 0);
  CHECK(stage.add("d") == 4);
}

TEST_CASE("whole segments go when all in them is acknowledged, and the disk is free again") {
  Stage stage(64 * 1024);  // segments of 8 KiB
  for (int i = 0; i < 30; ++i) REQUIRE(stage.add(std::string(2000, 'x')) != 0);
  REQUIRE(stage.spool->sync());
  CHECK(stage.segments().size() == 8);
  stage.spool->release_through(29);
  CHECK(stage.segments().size() == 1);
  CHECK(stage.spool->bytes() == fs::file_size(stage.segments()[0]));
  CHECK(stage.all() == Texts{std::string(2000, 'x')});
}

TEST_CASE("[data-2] at the limit the newest is refused and nothing else changes; what is acknowledged makes room") {
  Stage stage(16 * 1024);
  int taken = 0;
  while (stage.add(std::string(1000, 'x')) != 0) ++taken;
  CHECK(taken == 15);
  CHECK(stage.spool->append(Spool::Kind::Payload, std::string(1000, 'x')).error().code == "full");
  CHECK(stage.spool->bytes() <= 16 * 1024);
  REQUIRE(stage.spool->sync());
  stage.spool->release_through(15);
  CHECK(stage.add(std::string(10000, 'y')) == 16);
  CHECK(stage.spool->append(Spool::Kind::Payload, std::string(kSpoolRecordBytesMax + 1, 'x')).error().code ==
        "too_big");
}

TEST_CASE(
    "[data-2] dropped are the oldest, and what was dropped is a gap with its reason until it is passed, also after a "
    "kill") {
  Stage stage(32 * 1024);  // segments of 4 KiB, three records each
  for (int i = 0; i < 20; ++i) stage.add(std::string(1200, 'x'));
  REQUIRE(stage.spool->sync());
  stage.spool->release_through(1);
  const auto dropped = stage.spool->drop_oldest(5000);
  REQUIRE(dropped.size() == 2);
  CHECK(dropped[0].from == 2);
  CHECK(dropped[1].to == 6);
  CHECK(dropped[1].reason == "spool_full");
  CHECK(stage.add("new") == 21);
  REQUIRE(stage.spool->sync());
  for (const bool killed : {false, true}) {
    INFO("killed: " << killed);
    if (killed) stage.open(32 * 1024);
    CHECK(stage.spool->first() == 2);
    const auto gap = stage.spool->gap(2);
    REQUIRE(gap);
    CHECK(gap->to == 6);
    CHECK(gap->reason == "spool_full");
    CHECK(stage.spool->read(3).error().code == "gap");
    CHECK_FALSE(stage.spool->gap(7));
    CHECK(stage.spool->read(21)->bytes == "new");
  }
  CHECK(stage.recovery.words.empty());
  stage.spool->release_through(6);
  CHECK(stage.spool->records() == 15);
}

TEST_CASE("a new stream begins behind what is acknowledged, and stays over a kill") {
  Stage stage;
  for (const char* each : {"a", "b", "c"}) stage.add(each);
  REQUIRE(stage.spool->sync());
  stage.spool->release_through(1);
  REQUIRE(stage.spool->new_stream(1));
  CHECK(stage.spool->stream().id == "stream-2");
  stage.open();
  CHECK(stage.spool->stream().id == "stream-2");
  CHECK(stage.spool->stream().base == 1);
  CHECK(stage.all() == Texts{"b", "c"});
  stage.wishes.create = true;
  CHECK_FALSE(stage.spool->new_stream(2));
  CHECK(stage.spool->stream().id == "stream-2");
}

TEST_CASE("a stream may begin behind tickets that were never on disk") {
  Stage stage;
  stage.add("a");
  REQUIRE(stage.spool->sync());
  CHECK_FALSE(stage.spool->new_stream(50));  // "a" waits
  stage.spool->release_through(1);
  REQUIRE(stage.spool->new_stream(50));
  CHECK(stage.add("b") == 51);
  REQUIRE(stage.spool->sync());
  stage.open();
  CHECK(stage.recovery.words.empty());
  CHECK(stage.spool->stream().base == 50);
  CHECK(stage.all() == Texts{"b"});
}

TEST_CASE("[state-6] discarded records do not come back, and their tickets are not given again") {
  Stage stage;
  for (const char* each : {"a", "b", "c"}) stage.add(each);
  REQUIRE(stage.spool->sync());
  REQUIRE(stage.spool->discard());
  CHECK(stage.segments().empty());
  stage.open();
  CHECK(stage.spool->first() == 4);
  CHECK(stage.spool->stream().id == "stream-2");
  CHECK(stage.add("d") == 4);
  REQUIRE(stage.spool->sync());
  CHECK(stage.all() == Texts{"d"});
}

TEST_CASE("a relaxed spool keeps its stream over a kill, and begins a new one after another boot of the machine") {
  Stage stage(kSpoolBytesDefault, true);
  stage.add("a");
  REQUIRE(stage.spool->sync());
  const std::string opened = slurp(stage.path / "stream");
  stage.spool.reset();
  const std::string closed = slurp(stage.path / "stream");
  CHECK(opened != closed);
  auto file = spool_format::read_stream_file(opened);
  REQUIRE(file);
  SECTION("killed") {
    spit(stage.path / "stream", opened);
    stage.open(kSpoolBytesDefault, true);
    CHECK(stage.spool->stream().id == "stream-1");
  }
  SECTION("power cut") {
    file->relaxed = "another-boot";
    spit(stage.path / "stream", spool_format::to_bytes(*file));
    stage.open();
    CHECK(stage.spool->stream().id == "stream-2");
  }
  SECTION("closed in order") {
    stage.open();
    CHECK(stage.spool->stream().id == "stream-1");
  }
  CHECK(stage.all() == Texts{"a"});
}

TEST_CASE("[state-6] a discard that the disk refuses is made good with the next sync, and nothing is removed before") {
  Stage stage;
  for (const char* each : {"a", "b"}) stage.add(each);
  REQUIRE(stage.spool->sync());
  stage.wishes.create = true;
  const Status refused = stage.spool->discard();
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("nothing is removed") != std::string::npos);
  CHECK(stage.spool->records() == 0);
  CHECK(stage.segments().size() == 1);
  CHECK(stage.spool->needs_sync());
  stage.wishes.create = false;
  REQUIRE(stage.spool->sync());
  CHECK(stage.segments().empty());
  stage.open();
  CHECK(stage.spool->stream().id == "stream-2");
  CHECK(stage.add("c") == 3);
}

TEST_CASE("where the end is torn a relaxed spool begins a new stream, and a safe one goes on") {
  const bool relaxed = GENERATE(true, false);
  Stage stage(kSpoolBytesDefault, relaxed);
  stage.add("a");
  REQUIRE(stage.spool->sync());
  const std::string stream_file = slurp(stage.path / "stream");
  stage.spool.reset();
  spit(stage.path / "stream", stream_file);  // as after a kill
  spit(stage.segments().at(0), slurp(stage.segments().at(0)) + "RS and no more");
  stage.open(kSpoolBytesDefault, relaxed);
  CHECK(stage.recovery.torn_bytes > 0);
  CHECK(stage.spool->stream().id == (relaxed ? "stream-2" : "stream-1"));
  CHECK(stage.all() == Texts{"a"});
  CHECK(stage.add("b") == 2);
}
