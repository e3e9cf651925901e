#include "sdk/testing/fake_host.hpp"
#include "tests/catch.hpp"

// Compiled against a header of the next minor, whose tables have one function more.
using hawser::sdk::testing::FakeHost;

TEST_CASE("[sdk-2] a C plugin of the released ABI 1.0 runs on a host of a later minor") {
  STATIC_REQUIRE(sizeof(hws_host) == offsetof(hws_host, later) + sizeof(hws_host::later));
  FakeHost host;
  host.facts["device.serial"] = "SN-1";
  host.actions["allowed"] = {{.exit_code = 3, .output = "hi!"}};
  REQUIRE(host.load_library(HAWSER_TEST_PLUGINS "/released_1_0.so"));
  REQUIRE(host.start() == HWS_OK);
  host.advance(std::chrono::milliseconds(10));
  host.subconnection("probe").open();
  CHECK(host.subconnection("probe").durable("from the cloud").status == HWS_PENDING);
  for (const char* line : {"serial SN-1 0", "posted  0", "timer cancelled  0", "readable, unwatched  0", "action hi! 3",
                           "reached keepalive_ack 0", "state count  -10", "state written  0", "durable  1",
                           "source-backed  2", "accepted  2", "best effort  0", "from the cloud, settled  0"}) {
    INFO(line);
    CHECK(host.logged(line));
  }
  CHECK(host.figures.at("beans{shelf=\"left\"}").value == 42);
  host.stop();
  CHECK(host.healthy(HWS_STOPPED));
  CHECK(host.save()->content == "beans: 42");
}

TEST_CASE("[sdk-2] the C++ face over the released ABI 1.0 runs on a host of a later minor") {
  FakeHost host;
  host.actions["allowed"] = {{}};
  REQUIRE(host.load_library(HAWSER_TEST_PLUGINS "/released_1_0_face.so"));
  REQUIRE(host.start() == HWS_OK);
  host.advance(std::chrono::milliseconds(10));
  CHECK(host.logged("start number 1"));
  CHECK(host.logged("written"));
}
