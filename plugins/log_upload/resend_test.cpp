#include "note.hpp"
#include "test_device.hpp"

namespace hawser::log_upload {
namespace {

// A run that hands lines over and is killed before the cloud acknowledged them.
void hand_over_and_die(Device& device, const std::string& pattern, bool arrives = false) {
  Run run(device, device.config(pattern));
  REQUIRE(run.host.run_until([&] { return !run.end->durable_sent.empty(); }));
  run.host.settle_down();
  if (arrives) run.deliver(false);
}

TEST_CASE("[sdk-7] what was handed over before kill -9 is sent again with the same bytes under the same number") {
  Device device;
  device.append("a.log", lines(0, 50));
  std::string first;
  {
    Run run(device, device.config("a.log"));
    REQUIRE(run.end->durable_sent.size() == 1);
    run.host.settle_down();
    first = run.end->durable_sent.at(0).data;
  }
  SECTION("from the same file") {}
  SECTION("from the file under its new name") { fs::rename(device.logs / "a.log", device.logs / "a.log.1"); }
  SECTION("from the copy that copytruncate made") {
    fs::copy_file(device.logs / "a.log", device.logs / "a.log.1");
    fs::resize_file(device.logs / "a.log", 0);
  }
  SECTION("though the positions are lost") { fs::remove(device.state / "positions.json"); }
  device.append("a.log", lines(50, 60));
  Run run(device, device.config("a.log"));
  REQUIRE(run.end->resent.size() == 1);
  CHECK(run.end->resent.at(0).number == 1);
  CHECK(run.end->resent.at(0).data == first);
  REQUIRE(run.arrives(lines(0, 60)));
}

TEST_CASE("[log-2] after kill -9 nothing is handed over twice, whether the cloud had it already or not") {
  for (const bool had_it : {false, true}) {
    Device device;
    device.append("a.log", lines(0, 20));
    hand_over_and_die(device, "a.log", had_it);
    device.append("a.log", lines(20, 30));
    Run run(device, device.config("a.log"));
    REQUIRE(run.arrives(lines(0, 30)));
    CHECK(device.cloud.files.size() == 1);
    CHECK(device.cloud.headers.size() == 2);
  }
}

TEST_CASE("what no spool took is read again from the file") {
  Device device;
  device.append("a.log", lines(0, 20));
  {
    Run run(device, device.config("a.log"), false);
    run.end->accepts_at_once = false;
    run.end->open();
    REQUIRE(run.end->durable_sent.size() == 1);
  }
  Run run(device, device.config("a.log"));
  CHECK(run.end->resent.empty());
  REQUIRE(run.arrives(lines(0, 20)));
}

TEST_CASE("bytes that are gone are refused, and what is behind them goes on") {
  Device device;
  device.append("a.log", lines(0, 20));
  hand_over_and_die(device, "a.log");
  fs::remove(device.logs / "a.log");
  device.append("a.log", "another\n");
  Run run(device, device.config("a.log"));
  CHECK(run.end->expired == std::vector<std::uint64_t>{1});
  REQUIRE(run.arrives("another\n"));
}

TEST_CASE("bytes that were changed are not taken for those that were sent") {
  Device device;
  device.append("a.log", std::string(300, 'x') + "\nold\n");
  hand_over_and_die(device, "a.log");
  std::fstream(device.logs / "a.log", std::ios::in | std::ios::out).seekp(301) << "new\n";
  Run run(device, device.config("a.log"));
  CHECK(run.end->expired == std::vector<std::uint64_t>{1});  // the host compares
}

TEST_CASE("a file that was finished, acknowledged and forgotten is not read again") {
  Device device;
  device.append("a.log", lines(0, 5));
  {
    Run run(device, device.config("a.log"));
    REQUIRE(run.arrives(lines(0, 5)));
    fs::rename(device.logs / "a.log", device.logs / "b");
    run.host.advance(60s);
    REQUIRE(Json::parse(std::ifstream(device.state / "positions.json")).at("files").empty());
  }
  Run run(device, device.config("a.log"));
  run.host.advance(60s);
  CHECK(run.end->durable_sent.empty());
}

TEST_CASE("a note has room for every file, and another one's note is no note") {
  File file;
  file.path = "/" + std::string(4000, '\x01');
  file.id = "1:2:3";
  const std::string header = R"({"source":"s","file_id":"1:2:3","offset":4,"end_offset":9})";
  const std::string note = to_note(file, header);
  CHECK(note.size() <= kNoteBytesMax);
  REQUIRE(read_note(note));
  CHECK(read_note(note)->header == header);
  CHECK(read_note(note)->end_offset == 9);
  for (const char* nonsense : {"", "{}", "[1]", R"({"path":7})", "\xff"}) CHECK_FALSE(read_note(nonsense));
}

TEST_CASE("the answer to a pull is safe before the pull counts as taken") {
  Device device;
  Run run(device, device.config("a.log"));
  run.end->accepts_at_once = false;
  const auto answer = run.end->durable(R"({"type":"pull","id":"p1","source":"test","since":"","until":""})");
  CHECK(answer.status == HWS_PENDING);
  run.host.advance(1s);
  CHECK(run.end->settled.empty());
  run.end->accept(run.end->durable_sent.at(0).number);
  REQUIRE(run.end->settled.size() == 1);
  CHECK(run.end->settled.at(0).number == 1);
  CHECK(run.end->settled.at(0).verdict == HWS_OK);
}

}  // namespace
}  // namespace hawser::log_upload
