#include "test_device.hpp"

namespace hawser::config_push {
namespace {

TEST_CASE("[cfg-1] a revision is applied all or nothing: new, changed and removed files, then the reload") {
  Device device;
  device.write("changed", "old");
  device.write("removed", "old");
  Run run(device);
  std::string seen_by_reload;
  run.host.actions["reload"] = {{.effect = [&] { seen_by_reload = device.read("changed") + device.read("new"); }}};
  const Json files = {device.file("changed", "new text"), device.file("new", std::string("\0binary\xff", 8)),
                      device.removal("removed"), device.removal("never there")};
  CHECK(run.cloud->durable(order("r1", files, {{"reload", {"reload"}}})).status == HWS_OK);
  REQUIRE(run.reaches("confirmed"));
  CHECK(run.states() == "received applied confirmed");
  CHECK(device.read("changed") == "new text");
  CHECK(device.read("new") == std::string("\0binary\xff", 8));
  CHECK(device.read("removed") == "(none)");
  CHECK(device.entries() == 2);
  CHECK(seen_by_reload == "new text" + std::string("\0binary\xff", 8));
  CHECK(run.host.actions_run == std::vector<std::string>{"reload"});
  CHECK_FALSE(fs::exists(device.state + "/journal.json"));
  CHECK(run.host.longest_callback() < 250ms);
}

TEST_CASE("[cfg-1] mode and owner are set as the revision says, and kept where it says nothing") {
  Device device;
  device.write("kept", "old");
  fs::permissions(device.path("kept"), fs::perms(0604));
  Run run(device);
  Json secret = device.file("secret", "x"), plain = device.file("plain", "x");
  secret["mode"] = "0600";
  secret["owner"] = std::to_string(::geteuid());
  run.cloud->durable(order("r1", {device.file("kept", "new"), secret, plain}));
  REQUIRE(run.reaches("confirmed"));
  const auto mode = [&](const char* name) {
    return static_cast<unsigned>(fs::status(device.path(name)).permissions());
  };
  CHECK(mode("kept") == 0604);
  CHECK(mode("secret") == 0600);
  CHECK(mode("plain") == 0644);
}

TEST_CASE("[cfg-2] a reload that fails puts every old file back and runs again; the cloud learns why") {
  Device device;
  device.write("changed", "old");
  device.write("removed", "old too");
  fs::permissions(device.path("changed"), fs::perms(0640));
  Run run(device);
  std::string seen_by_second;
  run.host.actions["reload"] = {{.exit_code = 1, .output = "syntax error in line 3"},
                                {.exit_code = 0, .effect = [&] { seen_by_second = device.read("changed"); }}};
  const Json files = {device.file("changed", "bad"), device.file("new", "x"), device.removal("removed")};
  run.cloud->durable(order("r1", files, {{"reload", {"reload"}}}));
  REQUIRE(run.reaches("rolled_back"));
  CHECK(run.states() == "received rolled_back");
  CHECK(run.last().at("reason") == "reload_failed");
  CHECK(run.last().at("detail").get<std::string>().find("syntax error in line 3") != std::string::npos);
  CHECK(device.read("changed") == "old");
  CHECK(static_cast<unsigned>(fs::status(device.path("changed")).permissions()) == 0640);
  CHECK(device.read("removed") == "old too");
  CHECK(device.entries() == 2);
  CHECK(seen_by_second == "old");
  CHECK(run.host.actions_run.size() == 2);
}

TEST_CASE("[cfg-2] when even the old files do not reload the revision has failed, with the old files in place") {
  Device device;
  device.write("a", "old");
  Run run(device);
  run.host.actions["reload"] = {{.exit_code = 1}};
  run.cloud->durable(order("r1", {device.file("a", "new")}, {{"reload", {"reload"}}}));
  REQUIRE(run.reaches("failed"));
  CHECK(device.read("a") == "old");
}

TEST_CASE("[cfg-1] a reload action that the operator did not define undoes the revision") {
  Device device;
  device.write("a", "old");
  Run run(device);
  run.cloud->durable(order("r1", {device.file("a", "new")}, {{"reload", {"format-disk"}}}));
  REQUIRE(run.reaches("rolled_back"));
  CHECK(run.last().at("reason") == "reload_failed");
  CHECK(device.read("a") == "old");
  CHECK(run.host.actions_run.empty());
}

TEST_CASE("[cfg-2] not confirmed in time: everything is put back and reloaded") {
  Device device;
  device.write("a", "old");
  SECTION("the cloud cannot be reached") {
    Run run(device);
    run.host.cloud = FakeHost::Cloud::out_of_reach;
    run.cloud->durable(order("r1", {device.file("a", "new")}, {{"reload", {"reload"}}}));
    REQUIRE(run.reaches("applied"));
    CHECK(device.read("a") == "new");
    REQUIRE(run.reaches("rolled_back"));
    CHECK(run.last().at("reason") == "not_confirmed");
    CHECK(run.host.actions_run.size() == 2);
  }
  SECTION("the status is not acknowledged") {
    Run run(device, false);
    run.cloud->durable(order("r1", {device.file("a", "new")}));
    REQUIRE(run.reaches("rolled_back"));
  }
  CHECK(device.read("a") == "old");
}

TEST_CASE("[cfg-2] confirmed takes both: the cloud reached, and \"applied\" acknowledged") {
  Device device;
  Run run(device, false);
  run.host.cloud = FakeHost::Cloud::silent;
  run.cloud->durable(order("r1", {device.file("a", "new")}));
  REQUIRE(run.reaches("applied"));
  SECTION("first the acknowledgement") {
    run.cloud->ack_all();
    CHECK(run.states() == "received applied");
    run.host.answer_reached(true);
  }
  SECTION("first the sign of life") {
    run.host.answer_reached(true);
    run.cloud->ack(1);  // of "received" only
    CHECK(run.states() == "received applied");
    run.cloud->ack_all();
  }
  CHECK(run.states() == "received applied confirmed");
  run.host.advance(10min);
  CHECK(device.read("a") == "new");
}

TEST_CASE("[cfg-2] a host that cannot tell whether the cloud is reached: the acknowledgement alone confirms") {
  Device device;
  Run run(device, true, [](FakeHost& host) { host.has_cloud = false; });
  run.cloud->durable(order("r1", {device.file("a", "new")}));
  REQUIRE(run.reaches("confirmed"));
}

TEST_CASE("[cfg-3] check answers with a unified diff and changes nothing") {
  Device device;
  device.write("a", "one\ntwo\n");
  device.write("gone", "x\n");
  Run run(device);
  Json changed = device.file("a", "one\nTWO\n");
  changed["mode"] = "0600";
  const Json files = {changed, device.file("new", "n\n"), device.removal("gone"), device.file("same", "")};
  run.cloud->durable(order("r1", files, {{"mode", "check"}, {"reload", {"reload"}}}));
  REQUIRE(run.reaches("checked"));
  const std::string a = device.path("a");
  CHECK(run.last().at("diff") == "mode 0644 -> 0600 " + a + "\n--- " + a + "\n+++ " + a +
                                     "\n@@ -1,2 +1,2 @@\n one\n-two\n+TWO\n--- /dev/null\n+++ " + device.path("new") +
                                     "\n@@ -0,0 +1 @@\n+n\n--- " + device.path("gone") +
                                     "\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n");
  CHECK(device.read("a") == "one\ntwo\n");
  CHECK(device.entries() == 2);
  CHECK(run.host.actions_run.empty());
}

TEST_CASE("[cfg-3] a second apply of the confirmed revision changes nothing, also after a restart") {
  Device device;
  {
    Run run(device);
    run.cloud->durable(order("r1", {device.file("a", "new")}, {{"reload", {"reload"}}}));
    REQUIRE(run.reaches("confirmed"));
    struct stat before {
    }, after{};
    REQUIRE(::stat(device.path("a").c_str(), &before) == 0);
    run.cloud->durable(order("r1", {device.file("a", "new")}, {{"reload", {"reload"}}}));
    REQUIRE(run.host.run_until([&] { return run.states() == "received applied confirmed confirmed"; }));
    REQUIRE(::stat(device.path("a").c_str(), &after) == 0);
    CHECK(before.st_ino == after.st_ino);
    CHECK(run.host.actions_run.size() == 1);
    run.host.settle_down();  // all acknowledged
  }
  Run run(device);
  run.cloud->durable(order("r1", {device.file("a", "new")}), 1, "another-stream");
  REQUIRE(run.reaches("confirmed"));
  CHECK(run.states() == "confirmed");
}

}  // namespace
}  // namespace hawser::config_push
