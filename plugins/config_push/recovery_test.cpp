#include <map>
#include <set>

#include "test_device.hpp"

namespace hawser::config_push {
namespace {

TEST_CASE("a revision in parts, a file over two of them, is put together and nothing is written before the last") {
  Device device;
  Run run(device);
  const std::string content(5000, 'x');
  Json begin = device.file("big", content), end = begin;
  begin["content_b64"] = to_base64(content.substr(0, 3000));
  end["content_b64"] = to_base64(content.substr(3000));
  end["offset"] = 3000;

  run.cloud->durable(order("r1", {begin}, {{"parts", 2}, {"part", 1}}));
  run.host.advance(1min);
  CHECK(run.statuses().empty());
  CHECK(device.entries() == 0);
  SECTION("in one run") {
    run.cloud->durable(order("r1", {end, device.file("small", "s")}, {{"parts", 2}, {"part", 2}}));
    REQUIRE(run.reaches("confirmed"));
    CHECK(device.read("big") == content);
  }
  SECTION("a wrong offset") {
    end["offset"] = 2999;
    run.cloud->durable(order("r1", {end}, {{"parts", 2}, {"part", 2}}));
    REQUIRE(run.reaches("rejected"));
  }
  SECTION("unequal orders") {
    run.cloud->durable(order("r1", {end}, {{"parts", 2}, {"part", 2}, {"reload", {"reload"}}}));
    REQUIRE(run.reaches("rejected"));
  }
  SECTION("the second part never comes") {
    run.host.advance(11min);
    CHECK(run.states() == "failed");
    CHECK(run.last().at("reason") == "parts_missing");
  }
  SECTION("another revision begins") {
    run.cloud->durable(order("r2", {device.file("a", "two")}));
    REQUIRE(run.reaches("confirmed"));
    CHECK(run.states() == "failed received applied confirmed");
  }
  SECTION("a later part without its first") {
    run.cloud->durable(order("r9", {end}, {{"parts", 2}, {"part", 2}}));
    CHECK(run.last().at("reason") == "parts_missing");
    CHECK(run.last().at("revision") == "r9");
  }
}

TEST_CASE("parts survive a kill between them, and a message that comes again is taken once") {
  Device device;
  const std::string first = order("r1", {device.file("a", "A")}, {{"parts", 2}, {"part", 1}});
  const std::string second = order("r1", {device.file("b", "B")}, {{"parts", 2}, {"part", 2}});
  { Run(device).cloud->durable(first, 7); }
  { Run(device).cloud->durable(first, 7); }  // it was taken, but its acknowledgement got lost
  {
    Run run(device);
    run.cloud->durable(second, 8);
  }  // killed with the last part on disk, before the first step
  {
    Run run(device);
    REQUIRE(run.reaches("confirmed"));
    run.host.settle_down();  // the status is acknowledged
    CHECK(device.read("a") + device.read("b") == "AB");
  }
  Run run(device);
  CHECK(run.cloud->durable(second, 8).status == HWS_OK);  // again, after it was done
  run.host.advance(1s);
  CHECK(run.statuses().empty());
}

TEST_CASE("[cfg-2] killed at any step, the next start puts everything back before it connects, or goes on untouched") {
  int rolled_back = 0, confirmed = 0;
  for (int kill_after = 0; kill_after < 40; ++kill_after) {
    INFO("killed after " << kill_after << " turns");
    Device device;
    device.write("a", "old a");
    device.write("b", "old b");
    bool was_confirmed = false;
    std::map<std::uint64_t, std::string> told;  // what a cloud would store
    const auto note_told = [&](const Run& run) {
      for (const auto* sent : {&run.cloud->resent, &run.cloud->durable_sent})
        for (const auto& message : *sent)
          if (message.number <= run.cloud->acked) told.emplace(message.number, message.data);
    };
    {
      Run run(device, kill_after % 2 == 0);
      const Json files = {device.file("a", "new a"), device.file("c", "new c"), device.removal("b")};
      run.cloud->durable(order("r1", files, {{"reload", {"reload"}}}));
      int turns = 0;
      run.host.run_until([&] { return turns++ >= kill_after; }, 30s);
      note_told(run);
      was_confirmed = run.states().find("confirmed") != std::string::npos;
    }
    const bool had_journal = fs::exists(device.state + "/journal.json");
    Run run(device);
    if (had_journal) {
      CHECK(run.cloud == nullptr);  // not connected before the old files are back
      REQUIRE(run.host.run_until([&] { return run.host.has_subconnection(); }));
      const bool back = device.read("a") == "old a" && device.read("b") == "old b" && device.read("c") == "(none)";
      const bool kept = device.read("a") == "new a" && device.read("b") == "(none)" && device.read("c") == "new c";
      CHECK((back || kept));
      run.connect();
      CHECK(run.last().at("state") == (back ? "rolled_back" : "confirmed"));
      if (back) CHECK(run.last().at("reason") == "agent_restarted");
      (back ? rolled_back : confirmed)++;
    } else if (was_confirmed) {
      CHECK(device.read("a") == "new a");
    } else {
      REQUIRE(run.reaches("confirmed"));  // nothing had been touched: it went on from the parts
      CHECK(device.read("c") == "new c");
    }
    run.host.settle_down();
    run.cloud->ack_all();
    note_told(run);
    std::set<std::string> different;
    for (const auto& [number, status] : told) CHECK(different.insert(status).second);  // none twice
    CHECK(told.size() >= 2);
    CHECK_FALSE(fs::exists(device.state + "/journal.json"));
    for (const auto& entry : fs::directory_iterator(device.etc + "/app")) {
      CHECK(entry.path().filename().string().find(".hawser-") == std::string::npos);
    }
  }
  CHECK(rolled_back >= 5);
}

TEST_CASE("[cfg-2] killed at any step of putting back, the next start ends it") {
  for (int kill_after = 0; kill_after < 16; ++kill_after) {
    INFO("killed after " << kill_after << " turns");
    Device device;
    device.write("a", "old a");
    {
      Run run(device);
      run.host.actions["reload"] = {{.exit_code = 1}, {.exit_code = 0}};
      run.cloud->durable(order("r1", {device.file("a", "new a"), device.file("c", "new c")}, {{"reload", {"reload"}}}));
      REQUIRE(run.host.run_until([&] { return run.host.actions_run.size() == 1; }));
      int turns = 0;
      run.host.run_until([&] { return turns++ >= kill_after; }, 30s);
    }
    Run run(device);
    REQUIRE(run.host.run_until([&] { return run.host.has_subconnection(); }));
    CHECK(device.read("a") == "old a");
    CHECK(device.read("c") == "(none)");
    CHECK(device.entries() == 1);
  }
}

TEST_CASE("[cfg-2] the cloud learns of a final status even if the device restarts before it was sent") {
  Device device;
  {
    Run run(device, false);
    run.cloud->outbox_full = true;
    run.cloud->durable(order("r1", {device.file("a", "x")}, {{"reload", {"unknown"}}}));
    run.host.advance(1s);
    CHECK(run.statuses().empty());
  }
  Run run(device);
  CHECK(run.states() == "received rolled_back");
}

TEST_CASE("[data-1] a status that the host took before a kill is not handed over again, one that it did not take is") {
  for (const bool taken : {true, false}) {
    Device device;
    {
      Run run(device, false);
      run.cloud->accepts_at_once = taken;
      run.cloud->durable(order("r1", {device.file("a", "x")}, {{"reload", {"unknown"}}}));
      run.host.advance(1s);
      REQUIRE(run.cloud->durable_sent.size() == 2);
    }
    Run run(device);
    CHECK(run.cloud->durable_sent.size() == (taken ? 0 : 2));
    CHECK(run.cloud->resent.size() == (taken ? 2 : 0));
    CHECK(run.states() == "received rolled_back");
  }
}

TEST_CASE("a journal that cannot be read stops the plugin with a sentence that says what to do") {
  Device device;
  std::ofstream(device.state + "/journal.json") << "{";
  FakeHost host;
  host.facts["plugin.state_dir"] = device.state;
  REQUIRE(host.load(sdk::Binding<ConfigPush>::table));
  CHECK(host.start("{}") == HWS_E_FAIL);
  CHECK(host.refusal.find("put them back by hand") != std::string::npos);
}

}  // namespace
}  // namespace hawser::config_push
