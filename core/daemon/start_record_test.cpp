#include "core/daemon/start_record.hpp"

#include "core/base/files.hpp"
#include "tests/catch.hpp"
#include "tests/test_folder.hpp"

using namespace hawser;
using namespace hawser::daemon;
using namespace std::chrono_literals;

namespace {

// One device whose agent is started again and again; time is an argument.
struct Device {
  TestFolder folder;
  std::string boot = "boot-1";
  std::chrono::seconds uptime = 100s;

  StartRecord start() { return StartRecord(folder.path() / "starts.json", boot, uptime); }
  void crash_after(std::chrono::seconds life) {
    auto record = start();
    if (life >= StartRecord::kEarly) record.past_first_minute();
    uptime += life;
  }
};

}  // namespace

TEST_CASE("[ops-6] three ends without order within a minute of the start lead to safe mode, two do not") {
  Device device;
  device.crash_after(5s);
  device.crash_after(5s);
  CHECK_FALSE(device.start().safe_mode());  // this one is the third to end without order
  const auto record = device.start();
  REQUIRE(record.safe_mode());
  CHECK(record.safe_mode()->code == "safe_mode");
  CHECK(record.safe_mode()->message.find("3 times in a row within a minute") != std::string::npos);
  CHECK(record.safe_mode()->message.find("hawserctl plugin release --all") != std::string::npos);
}

TEST_CASE("[ops-6] five ends without order within ten minutes lead to safe mode, however long each run was") {
  Device device;
  for (int i = 0; i < 4; ++i) device.crash_after(90s);
  SECTION("four") { CHECK_FALSE(device.start().safe_mode()); }
  SECTION("five") {
    device.crash_after(90s);
    const auto record = device.start();
    REQUIRE(record.safe_mode());
    CHECK(record.safe_mode()->message.find("5 times within ten minutes") != std::string::npos);
  }
}

TEST_CASE("[ops-6] ends in order, ends long ago and ends before a reboot do not count") {
  Device device;
  SECTION("in order") {
    for (int i = 0; i < 10; ++i) device.start().ended_in_order();
  }
  SECTION("long ago") {
    for (int i = 0; i < 4; ++i) device.crash_after(5s);
    device.uptime += 11min;
  }
  SECTION("before a reboot") {
    for (int i = 0; i < 4; ++i) device.crash_after(5s);
    device.boot = "boot-2";
    device.uptime = 20s;
  }
  SECTION("of a run that lived for ten minutes") {
    for (int i = 0; i < 4; ++i) device.crash_after(5s);
    device.start().forget_all();
  }
  SECTION("one that outlived its first minute breaks the row") {
    device.crash_after(5s);
    device.crash_after(5s);
    device.crash_after(70s);
    device.crash_after(5s);
  }
  CHECK_FALSE(device.start().safe_mode());
}

TEST_CASE("[ops-6] a record of starts that is damaged is begun anew") {
  Device device;
  for (const std::string& content : {std::string(), std::string("{"), std::string(4096, '\0'), std::string("[]"),
                                     std::string(R"({"boot":"boot-1","runs":7})"),
                                     std::string(R"({"boot":"boot-1","runs":["x",{"at_s":"y"},{"at_s":-1}]})")}) {
    INFO(content);
    REQUIRE(write_file_atomically(device.folder.path() / "starts.json", content));
    CHECK_FALSE(device.start().safe_mode());
  }
}
