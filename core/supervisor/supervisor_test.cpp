#include "core/supervisor/supervisor.hpp"

#include <map>

#include "core/supervisor/testing/rig.hpp"

using namespace hawser;
using namespace hawser::supervisor;
using testing::Rig;

namespace {

std::string contains(const std::string& text, const std::string& part) {
  return text.find(part) == std::string::npos ? text : part;
}

json::Object grant(const std::string& service, int expires_in = 3600) {
  return json::parse_object(R"({"service":")" + service + R"(","url":"wss://c/x","token":"t","expires_in":)" +
                            std::to_string(expires_in) + "}")
      .value();
}

}  // namespace

TEST_CASE("a plugin's host gets its setup and becomes ready") {
  Rig rig;
  rig.add("shop", R"({"behave":"show_setup","a":{"b":[1,"x"]}})");
  rig.settings.plugins["acme.shop"].actions["reload"] = {};
  auto& supervisor = rig.make();
  REQUIRE(supervisor.offers().size() == 1);
  CHECK(supervisor.offers()[0].service == "shop");
  CHECK(supervisor.offers()[0].digest.rfind("sha256:", 0) == 0);
  supervisor.start();
  CHECK(rig.plugin("shop").state() == PluginState::Starting);
  REQUIRE(rig.until_state("shop", PluginState::Ready));
  const std::string setup = rig.echo("setup");
  for (const char* part :
       {R"("plugin":"acme.shop")", R"("version":"1.0.0")", R"("serial":"TEST1")", R"("digest":"sha256:)"})
    CHECK(contains(setup, part) == part);
  CHECK(std::filesystem::is_directory(rig.folder.path() / "state/plugins/acme.shop"));
}

TEST_CASE("a host gets an empty environment, its channel, and nothing else of the agent's") {
  Rig rig;
  rig.add("shop", R"({"behave":"show_process"})");
  const Descriptor foreign(::dup(0));  // not close-on-exec
  rig.make().start();
  const std::string process = rig.echo("process");
  CHECK(contains(process,
                 "descriptors 0 1 2 3 4 5 input /dev/null environment empty leads its group yes term blocked no") ==
        "descriptors 0 1 2 3 4 5 input /dev/null environment empty leads its group yes term blocked no");
}

TEST_CASE("a host that crashes is started again, and its end is told with the signal's name") {
  const std::string behave = GENERATE("crash", "crash_when_ready", "exit_3", "gives_up", "faulted");
  const std::map<std::string, std::pair<std::string, std::string>> expected = {
      {"crash", {"crashed", "SIGSEGV"}},
      {"crash_when_ready", {"crashed", "SIGABRT"}},
      {"exit_3", {"exited", "exited with code 3"}},
      {"gives_up", {"exited", "cannot open the library"}},
      {"faulted", {"exited", "the modem is gone"}}};
  INFO(behave);
  Rig rig;
  rig.add("shop", R"({"behave":")" + behave + R"("})");
  rig.make().start();
  REQUIRE(rig.until_state("shop", PluginState::Backoff));
  CHECK(rig.plugin("shop").reason().code == expected.at(behave).first);
  CHECK(contains(rig.plugin("shop").reason().message, expected.at(behave).second) == expected.at(behave).second);
  const std::string first = rig.plugin("shop").instance();
  REQUIRE(rig.until([&] { return rig.plugin("shop").restarts() >= 2; }));
  CHECK(rig.plugin("shop").instance() != first);
  REQUIRE_FALSE(rig.cloud.events.empty());
}

TEST_CASE("a host that does not become ready in time is killed and started again") {
  Rig rig;
  rig.add("shop", R"({"behave":"never_ready"})");
  auto timing = testing::quick();
  timing.start_limit = 100ms;
  rig.make(timing).start();
  REQUIRE(rig.until_state("shop", PluginState::Backoff));
  CHECK(rig.plugin("shop").reason().code == "stalled");
  CHECK(rig.plugin("shop").reason().message == "did not become ready within 100 ms");
}

TEST_CASE("a host that breaks or leaves its control channel is ended and started again") {
  const std::string behave = GENERATE("garbage", "closes_channel");
  INFO(behave);
  Rig rig;
  rig.add("shop", R"({"behave":")" + behave + R"("})");
  rig.make().start();
  REQUIRE(rig.until_state("shop", PluginState::Backoff));
  CHECK(rig.plugin("shop").reason().code == (behave == "garbage" ? "bad_payload" : "stalled"));
}

TEST_CASE("a plugin that floods its log or its control channel does not hold up another one") {
  const std::string behave = GENERATE("flood_log", "flood_channel", "flood_big", "flood_output");
  INFO(behave);
  Rig rig;
  rig.add("shop", R"({"behave":")" + behave + R"("})");
  rig.add("quiet", R"({"echo":true})");
  auto& supervisor = rig.make();
  supervisor.start();
  REQUIRE(rig.until_state("quiet", PluginState::Ready));
  REQUIRE(rig.until_state("shop", PluginState::Ready));
  std::vector<milliseconds> waits;
  for (int i = 0; i < 10; ++i) {  // with the turns between them, the flood is in full flow
    const TimePoint asked = Clock::now();
    supervisor.revoke("quiet", "test");
    REQUIRE(rig.echo("revoke") != "no echo of revoke");
    waits.push_back(std::chrono::duration_cast<milliseconds>(Clock::now() - asked));
  }
  std::sort(waits.begin(), waits.end());
  CHECK(waits[5] < 100ms);  // the median, since other work shares the machine
  CHECK(rig.plugin("shop").state() == PluginState::Ready);
}

TEST_CASE("a host that ignores stop is killed at its deadline, with all of its process group") {
  Rig rig;
  rig.add("shop", R"({"behave":"ignores_stop"})");
  rig.add("quiet", "{}");
  auto& supervisor = rig.make();
  supervisor.start();
  const pid_t grandchild = std::stoi(rig.echo("grandchild"));
  REQUIRE(rig.until_state("quiet", PluginState::Ready));
  const pid_t quiet = rig.plugin("quiet").pid().value();
  bool done = false;
  const TimePoint asked = Clock::now();
  supervisor.stop(10s, [&] { done = true; });
  REQUIRE(rig.until([&] { return rig.plugin("quiet").state() == PluginState::Stopped; }));
  CHECK_FALSE(testing::is_running(quiet));
  CHECK_FALSE(done);
  REQUIRE(rig.until([&] { return done; }));
  CHECK(Clock::now() - asked < 5s);
  CHECK(rig.plugin("shop").state() == PluginState::Stopped);
  CHECK(rig.until([&] { return !testing::is_running(grandchild); }));
}

TEST_CASE("a refused configuration or ABI is not tried again until an operator asks") {
  const std::string behave = GENERATE("refuse_config", "refuse_abi");
  Rig rig;
  rig.add("shop", R"({"behave":")" + behave + R"("})");
  rig.add("quiet", "{}");
  auto& supervisor = rig.make();
  supervisor.start();
  REQUIRE(rig.until_state("shop", PluginState::Refused));
  REQUIRE(rig.until([&] { return !rig.plugin("shop").pid(); }));
  CHECK(rig.plugin("shop").reason().code == (behave == "refuse_config" ? "config_refused" : "abi_refused"));
  CHECK(supervisor.subconnections().rows().at("shop").failure_reason == rig.plugin("shop").reason().code);
  CHECK_FALSE(rig.until([&] { return rig.plugin("shop").restarts() > 0; }, 300ms));
  CHECK(rig.until_state("quiet", PluginState::Ready));
  REQUIRE(rig.restarted("acme.shop"));
  CHECK(rig.until([&] { return rig.plugin("shop").restarts() == 1; }));
}

TEST_CASE("a restart by the operator stops the host first and starts it at once") {
  Rig rig;
  rig.add("shop", "{}");
  auto& supervisor = rig.make();
  supervisor.start();
  REQUIRE(rig.until_state("shop", PluginState::Ready));
  const auto first = rig.plugin("shop").instance();
  REQUIRE(rig.restarted("acme.shop"));
  CHECK(rig.plugin("shop").state() == PluginState::Draining);
  REQUIRE(rig.until_state("shop", PluginState::Ready));
  CHECK(rig.plugin("shop").instance() != first);
  CHECK(rig.restarted("acme.other").error().code == "not_found");
}

TEST_CASE("a missing host program is named, and tried again with backoff") {
  Rig rig;
  rig.add("shop", "{}");
  rig.make(testing::quick(), "/nowhere/hawser-host").start();
  CHECK(rig.plugin("shop").state() == PluginState::Backoff);
  CHECK(rig.plugin("shop").reason().message == "cannot start /nowhere/hawser-host: No such file or directory");
}

TEST_CASE("a plugin that is refused on disk stands in the list with its sentence while the rest runs") {
  Rig rig;
  rig.add("shop", "{}");
  rig.add("quiet", "{}");
  std::filesystem::remove(rig.folder.path() / "plugins/acme.shop/1.0.0/plugin.so");
  auto& supervisor = rig.make();
  supervisor.start();
  CHECK(rig.plugin("shop").state() == PluginState::Refused);
  CHECK(contains(rig.plugin("shop").reason().message, "the plugin file is missing") == "the plugin file is missing");
  CHECK(supervisor.offers().size() == 1);
  CHECK(rig.until_state("quiet", PluginState::Ready));
  CHECK(rig.restarted("acme.shop").error().code == "plugin_missing");
  CHECK(rig.plugin("shop").state() == PluginState::Refused);

  INFO("mended on disk, it is taken by a restart");
  testing::install(rig.folder.path() / "plugins", "acme.shop", "1.1.0", "shop");
  REQUIRE(rig.restarted("acme.shop"));
  CHECK(rig.until_state("shop", PluginState::Ready));
  REQUIRE(rig.cloud.offers.size() == 2);
  CHECK(rig.cloud.offers[1].version == "1.1.0");

  INFO("what is broken on disk does not end what runs");
  testing::install(rig.folder.path() / "plugins", "acme.shop", "1.2.0", "quiet");
  CHECK(rig.restarted("acme.shop").error().code == "service_claimed");
  CHECK(rig.plugin("shop").state() == PluginState::Ready);
}

TEST_CASE("a plugin that is degraded before it is ready is shown as degraded") {
  Rig rig;
  rig.add("shop", R"({"behave":"degraded"})");
  rig.make().start();
  REQUIRE(rig.until_state("shop", PluginState::Degraded));
  CHECK(rig.plugin("shop").reason().message == "no such folder yet");
}

TEST_CASE("a configuration over the size of a control message is refused by name") {
  Rig rig;
  rig.add("shop", R"({"big":")" + std::string(140'000, 'x') + R"("})");
  rig.make().start();
  REQUIRE(rig.until_state("shop", PluginState::Refused));
  CHECK(rig.plugin("shop").reason().code == "config_refused");
}

TEST_CASE("a plugin's own figures are known while its host runs, and what breaks their rules is refused") {
  Rig rig;
  rig.add("shop", R"({"metrics":[{"name":"orders","kind":"counter","unit":"","value":7,"attributes":{}}]})");
  rig.add("liar", R"({"metrics":[{"name":"orders","kind":"sum","unit":"","value":7,"attributes":{}}]})");
  auto& supervisor = rig.make();
  supervisor.start();
  REQUIRE(rig.until([&] { return supervisor.metrics().of("acme.shop").size() == 1; }));
  CHECK(supervisor.metrics().of("acme.shop")[0].value == 7);
  REQUIRE(rig.until([&] { return rig.plugin("liar").lies() == 1; }));
  CHECK(supervisor.metrics().of("acme.liar").empty());
  REQUIRE(rig.until_state("shop", PluginState::Ready));
  ::kill(rig.plugin("shop").pid().value(), SIGKILL);
  CHECK(rig.until([&] { return supervisor.metrics().of("acme.shop").empty(); }));
}

TEST_CASE("grants reach the host whose service they are for, also one that starts later") {
  Rig rig;
  rig.add("shop", R"({"echo":true})");
  auto& supervisor = rig.make();
  supervisor.set_grants({grant("shop"), grant("foreign")}, {});
  supervisor.start();
  CHECK(contains(rig.echo("grant"), R"("service":"shop")") == R"("service":"shop")");
  REQUIRE(rig.until([&] { return supervisor.subconnections().rows().at("shop").state == "ready"; }));

  SECTION("a service that is absent from a list is revoked") {
    supervisor.set_grants({}, {});
    CHECK(contains(rig.echo("revoke"), R"("service":"shop")") == R"("service":"shop")");
  }
  SECTION("a refusal comes with its reason") {
    supervisor.set_grants({}, {{"shop", "plugin_blocked"}});
    CHECK(contains(rig.echo("grant_refused"), "plugin_blocked") == "plugin_blocked");
  }
  SECTION("a revocation comes with its reason, and the grant is not given to the next host") {
    supervisor.revoke("shop", "removed");
    CHECK(contains(rig.echo("revoke"), R"("reason":"removed")") == R"("reason":"removed")");
    REQUIRE(rig.restarted("acme.shop"));
    REQUIRE(rig.until([&] { return rig.plugin("shop").restarts() == 1; }));
    REQUIRE(rig.until_state("shop", PluginState::Ready));
    CHECK(supervisor.subconnections().rows().at("shop").state == "stopped");
  }
  SECTION("another server ends all grants") {
    supervisor.server_changed();
    CHECK(rig.echo("server_changed") != "no echo of server_changed");
  }
}

TEST_CASE("the counters of a service survive the death of its host") {
  Rig rig;
  rig.add("shop", "{}");
  auto& supervisor = rig.make();
  supervisor.set_grants({grant("shop")}, {});
  supervisor.start();
  const auto& row = supervisor.subconnections().rows().at("shop");
  for (int hosts = 1; hosts <= 3; ++hosts) {
    REQUIRE(rig.until([&] { return row.state == "ready"; }));
    CHECK(row.sent_messages.total() == 10 * hosts);
    CHECK(supervisor.subconnections().dropped("queue_full") == 3 * hosts);
    CHECK(supervisor.subconnections().dropped() == 7 * hosts);
    CHECK(supervisor.subconnections().buffer_full() == hosts);
    REQUIRE(rig.restarted("acme.shop"));
    REQUIRE(rig.until([&] { return row.state == "stopped"; }));
    CHECK(supervisor.subconnections().dropped() == 7 * hosts);
  }
}

TEST_CASE("an action of the operator's runs, and its result comes back once") {
  Rig rig;
  rig.add("shop", R"({"echo":true,"action":"greet"})");
  rig.settings.plugins["acme.shop"].actions["greet"] = {{"/bin/sh", "-c", "echo hello; exit 4"}, 5s};
  rig.make().start();
  const std::string done = rig.echo("action_done");
  CHECK(contains(done, R"("id":"1","exit_code":4,"output_b64":"aGVsbG8K","reason":"")") ==
        R"("id":"1","exit_code":4,"output_b64":"aGVsbG8K","reason":"")");
  CHECK_FALSE(rig.until([&] { return rig.cloud.take("action_done").has_value(); }, 100ms));
}

TEST_CASE("an action that the operator did not define is refused, and so is a fifth one at a time") {
  Rig rig;
  rig.add("shop", R"({"echo":true,"action":"greet","times":5})");
  SECTION("undefined") {
    rig.make().start();
    CHECK(contains(rig.echo("action_done"), "no [actions.greet] in plugins.d/acme.shop.toml") ==
          "no [actions.greet] in plugins.d/acme.shop.toml");
  }
  SECTION("too many") {
    rig.settings.plugins["acme.shop"].actions["greet"] = {{"/bin/sleep", "60"}, 60s};
    rig.make().start();
    const std::string refused = rig.echo("action_done");
    CHECK(contains(refused, R"("id":"5","exit_code":null)") == R"("id":"5","exit_code":null)");
    CHECK(contains(refused, "4 actions of this plugin run already") == "4 actions of this plugin run already");
  }
}

TEST_CASE("a plugin learns once whether the cloud is reached") {
  Rig rig;
  SECTION("by an answer") {
    rig.add("shop", R"({"echo":true,"reach_ms":60000})");
    auto& supervisor = rig.make();
    supervisor.start();
    REQUIRE(rig.until([&] { return !rig.cloud.reaches.empty(); }));
    supervisor.reached(rig.cloud.reaches[0], "keepalive_ack");
    supervisor.reached(rig.cloud.reaches[0], "keepalive_ack");
    CHECK(contains(rig.echo("cloud_reached"), R"("id":"5","ok":true,"how":"keepalive_ack")") ==
          R"("id":"5","ok":true,"how":"keepalive_ack")");
    CHECK_FALSE(rig.until([&] { return rig.cloud.take("cloud_reached").has_value(); }, 100ms));
  }
  SECTION("or by its time limit") {
    rig.add("shop", R"({"echo":true,"reach_ms":50})");
    rig.make().start();
    CHECK(contains(rig.echo("cloud_reached"), R"("id":"5","ok":false,"how":"timeout")") ==
          R"("id":"5","ok":false,"how":"timeout")");
  }
}

TEST_CASE("the wait before a restart doubles from 1 s to 5 min") {
  const Timing timing;
  CHECK(longest_wait(timing, 0) == 1s);
  CHECK(longest_wait(timing, 1) == 2s);
  CHECK(longest_wait(timing, 8) == 256s);
  CHECK(longest_wait(timing, 9) == 5min);
  CHECK(longest_wait(timing, 1'000'000) == 5min);
}
