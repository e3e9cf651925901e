#include "test_device.hpp"

namespace hawser::config_push {
namespace {

TEST_CASE("[cfg-5] what is not allowed is rejected as a whole, before anything is touched") {
  Device device;
  device.write("a", "old");
  std::ofstream(device.etc + "/outside") << "x";
  fs::create_symlink(device.etc, device.path("link"));
  fs::create_symlink(device.path("a"), device.path("alias"));
  fs::create_directories(device.path("folder"));
  device.write("twice", "x");
  fs::create_hard_link(device.path("twice"), device.path("twin"));
  Run run(device);
  Json outside = device.file("a", "x"), up = outside, through = outside, digest = outside, mode = outside,
       owner = outside;
  outside["path"] = device.etc + "/outside";
  up["path"] = device.etc + "/app/../outside";
  through["path"] = device.path("link/outside");
  digest["sha256"] = sha256("y");
  mode["mode"] = "4755";
  owner["owner"] = "no such user";
  Json base64 = device.file("a", "x");
  base64["content_b64"] = "!!!!";
  int number = 0;
  for (const Json& bad :
       {outside, up, through, digest, mode, owner, base64, device.file("alias", "x"), device.file("folder", "x"),
        device.file("twice", "x"), device.file("no/such/folder", "x"), Json(7), Json(Json::object())}) {
    INFO(bad.dump());
    const std::string revision = "r" + std::to_string(++number);
    CHECK(run.cloud->durable(order(revision, {device.file("a", "new"), bad})).status == HWS_OK);
    REQUIRE(run.host.run_until([&] {
      return !run.statuses().empty() && run.last().at("revision") == revision && run.last().at("state") != "received";
    }));
    CHECK(run.last().at("state") == "rejected");
    CHECK(run.last().contains("reason"));
    CHECK(run.last().at("detail").get<std::string>().size() > 10);
    CHECK(device.read("a") == "old");
    run.host.settle_down();
  }
  CHECK(sdk::read_file(device.etc + "/outside", 10).value() == "x");
  CHECK(device.entries() == 6);
}

TEST_CASE("[cfg-5] the plugin's own state folder is never a target, whatever the operator allows") {
  Device device;
  Run run(device);
  REQUIRE(run.host.configure(R"({"allowed":["/**"]})", true) == HWS_OK);
  Json own = device.file("a", "x");
  own["path"] = device.state + "/last.json";
  run.cloud->durable(order("r1", {own}));
  REQUIRE(run.reaches("rejected"));
}

TEST_CASE("[cfg-5] a name that a staged file may have is no target, so none is swept away with it") {
  const Device device;
  device.write(".hawser-0.new", "precious\n");
  Run run(device);
  run.cloud->durable(order("r1", {device.file("a", "x\n"), device.file(".hawser-0.new", "y\n")}));
  REQUIRE(run.reaches("rejected"));
  CHECK(run.last().at("reason") == "path_refused");
  CHECK(device.read(".hawser-0.new") == "precious\n");
  CHECK(device.read("a") == "(none)");
}

TEST_CASE("[cfg-5] a target that becomes a link after it was checked is refused at the swap, and all is put back") {
  Device device;
  device.write("a", "old a");
  device.write("b", "old b");
  std::ofstream(device.etc + "/victim") << "untouched";
  Run run(device);
  run.cloud->durable(order("r1", {device.file("a", "new a"), device.file("b", "new b")}));
  REQUIRE(run.host.run_until([&] { return device.read("a") == "new a"; }));
  fs::remove(device.path("b"));
  fs::create_symlink(device.etc + "/victim", device.path("b"));
  run.host.advance(1s);
  CHECK(sdk::read_file(device.etc + "/victim", 100).value() == "untouched");
  CHECK(device.read("a") == "old a");
  CHECK(run.last().at("state") == "failed");  // b cannot be put back over a link: it is said, and tried again
  fs::remove(device.path("b"));
  REQUIRE(run.reaches("rolled_back"));
  CHECK(device.read("b") == "old b");
}

TEST_CASE("what is malformed is refused for good, or rejected where its revision can be read") {
  Device device;
  Run run(device);
  for (const char* bad : {"", "[]", "{}", R"({"type":"erase"})", R"({"type":"apply"})",
                          R"({"type":"apply","revision":""})", "\xff\xfe"}) {
    INFO(bad);
    CHECK(run.cloud->durable(bad).status == HWS_E_INVALID);
  }
  CHECK(run.statuses().empty());
  CHECK(run.cloud->durable(order("r1", Json::array(), {{"mode", "erase"}})).status == HWS_OK);
  CHECK(run.last().at("state") == "rejected");
  CHECK(run.cloud->durable(order("r2", Json::array())).status == HWS_OK);
  REQUIRE(
      run.host.run_until([&] { return run.last().at("revision") == "r2" && run.last().at("state") == "rejected"; }));
}

TEST_CASE("a second revision while one is open is rejected as busy, and the first goes on") {
  Device device;
  Run run(device);
  run.host.actions["reload"] = {{.holds = true}};
  run.cloud->durable(order("r1", {device.file("a", "one")}, {{"reload", {"reload"}}}));
  REQUIRE(run.host.run_until([&] { return !run.host.actions_run.empty(); }));
  CHECK(run.cloud->durable(order("r2", {device.file("a", "two")}, {{"parts", 2}})).status == HWS_OK);
  CHECK(run.cloud->durable(order("r2", {device.file("b", "two")}, {{"parts", 2}, {"part", 2}})).status == HWS_OK);
  CHECK(run.states() == "received rejected");
  CHECK(run.last().at("reason") == "busy");
  run.host.finish_held_action(0);
  REQUIRE(run.reaches("confirmed"));
  CHECK(device.read("a") == "one");
  run.host.settle_down();
  run.host.actions["reload"] = {{.exit_code = 0}};
  run.cloud->durable(order("r3", {device.file("a", "three")}));
  REQUIRE(run.host.run_until([&] { return device.read("a") == "three"; }));
}

}  // namespace
}  // namespace hawser::config_push
