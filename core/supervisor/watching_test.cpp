// Hosts that hang, fail and lie: what is done with each, and that nobody else notices.
#include <signal.h>

#include "core/base/json.hpp"
#include "core/supervisor/supervisor.hpp"
#include "core/supervisor/testing/rig.hpp"

using namespace hawser;
using namespace hawser::supervisor;
using testing::Rig;

namespace {

// The detail of the first event of this kind and reason.
std::string told(const Rig& rig, const std::string& kind, const std::string& reason) {
  for (const auto& event : rig.cloud.events) {
    if (event.kind == kind && event.reason == reason) return event.detail;
  }
  return "no event " + kind + " " + reason;
}

Timing watching() {
  auto timing = testing::quick();
  timing.stall_limit = 400ms;
  timing.ping_interval = 1s;  // also where ten others want the processor
  return timing;
}

// Ends five times as soon as it is ready.
void add_failing(Rig& rig) { rig.add("shop", R"({"behave":"crash_when_ready"})"); }

}  // namespace

TEST_CASE(
    "[iso-4] a callback that runs longer than the stall limit is killed, and named in the history after the kill") {
  Rig rig;
  rig.add("shop", R"({"behave":"stuck"})");
  rig.add("quiet", "{}");
  auto timing = watching();
  timing.ping_interval = 10s;
  rig.make(timing).start();
  REQUIRE(rig.until([&] { return rig.plugin("shop").watch() && rig.plugin("shop").watch()->overrun(); }));
  const TimePoint noticed = Clock::now();
  CHECK(rig.plugin("shop").watch()->overrun()->callback == "timer");
  CHECK(rig.plugin("shop").state() == PluginState::Ready);
  REQUIRE(rig.until_state("shop", PluginState::Backoff));
  CHECK(Clock::now() - noticed >= 100ms);  // the limit is counted from the callback's begin
  CHECK(rig.plugin("shop").reason().code == "stalled");
  const std::string words = rig.plugin("shop").reason().message;
  INFO(words);
  CHECK(has(words, "in the callback timer for 4"));
  CHECK(has(words, "over its limit of 400 ms"));
  CHECK(has(words, "[limits] in plugins.d/acme.shop.toml"));
  CHECK(has(told(rig, "plugin_state", "stalled"), "in the callback timer for 4"));
  CHECK(rig.plugin("quiet").restarts() == 0);
}

TEST_CASE("[iso-4] a start() that hangs is named as well") {
  Rig rig;
  rig.add("shop", R"({"behave":"stuck_in_start"})");
  rig.make(watching()).start();
  REQUIRE(rig.until_state("shop", PluginState::Backoff));
  INFO(rig.plugin("shop").reason().message);
  CHECK(has(rig.plugin("shop").reason().message, "in the callback start for 4"));
}

TEST_CASE(
    "[iso-4] a callback that returns after its budget and before the limit is counted, and nothing else happens") {
  Rig rig;
  rig.add("shop", R"({"behave":"slow","echo":true})");
  rig.make(watching()).start();
  REQUIRE(rig.echo("slow") == "is over");
  CHECK(rig.plugin("shop").watch()->overruns() == 1);
  CHECK_FALSE(rig.plugin("shop").watch()->overrun());
  CHECK_FALSE(rig.until([&] { return rig.plugin("shop").restarts() > 0; }, 600ms));
  CHECK(rig.plugin("shop").state() == PluginState::Ready);
}

TEST_CASE("[F73] a host that does not answer is killed, one that is stopped from outside as well") {
  const std::string how = GENERATE("silent", "stopped");
  INFO(how);
  Rig rig;
  rig.add("shop", how == "silent" ? R"({"behave":"silent"})" : "{}");
  rig.add("quiet", "{}");
  rig.make(watching()).start();
  REQUIRE(rig.until_state("shop", PluginState::Ready));
  if (how == "stopped") REQUIRE(::kill(*rig.plugin("shop").pid(), SIGSTOP) == 0);
  REQUIRE(rig.until_state("shop", PluginState::Backoff));
  CHECK(rig.plugin("shop").reason().code == "stalled");
  INFO(rig.plugin("shop").reason().message);
  CHECK(has(rig.plugin("shop").reason().message, "its host did not answer for 1 s"));
  CHECK_FALSE(rig.until([&] { return rig.plugin("quiet").restarts() > 0; }, 1500ms));
}

TEST_CASE("[F77] hosts that slept together with the agent are not judged by the clock") {
  Rig rig;
  rig.add("shop", "{}");
  rig.make(watching()).start();
  REQUIRE(rig.until_state("shop", PluginState::Ready));
  const pid_t pid = *rig.plugin("shop").pid();
  REQUIRE(rig.until([] { return false; }, 1100ms) == false);  // a ping is under way or answered
  REQUIRE(::kill(pid, SIGSTOP) == 0);
  ::usleep(3'500'000);  // the loop does not turn: we sleep, too
  REQUIRE(::kill(pid, SIGCONT) == 0);
  CHECK_FALSE(rig.until([&] { return rig.plugin("shop").restarts() > 0; }, 1500ms));
  CHECK(rig.plugin("shop").pid() == pid);
}

TEST_CASE("[iso-5] five failures in ten minutes mean quarantine, which outlives the agent") {
  Rig rig;
  add_failing(rig);
  rig.add("quiet", "{}");
  auto* supervisor = &rig.make();
  supervisor->start();
  REQUIRE(rig.until_state("shop", PluginState::Quarantined));
  CHECK(rig.plugin("shop").restarts() == 4);
  CHECK(rig.plugin("shop").reason().code == "quarantined");
  const std::string words = rig.plugin("shop").reason().message;
  INFO(words);
  CHECK(has(words, "it failed 5 times within 600 s, at last: the host was ended by SIGABRT"));
  CHECK(has(words, "hawserctl plugin release acme.shop"));
  CHECK(has(told(rig, "quarantine", "quarantined"), "acme.shop is in quarantine: it failed 5 times"));
  CHECK(supervisor->subconnections().rows().at("shop").failure_reason == "quarantined");
  CHECK_FALSE(rig.until([&] { return rig.plugin("shop").restarts() > 4; }, 300ms));
  CHECK(rig.restarted("acme.shop").error().code == "quarantined");

  rig.supervisor.reset();
  SECTION("the next run of the agent holds it") {
    supervisor = &rig.make();
    supervisor->start();
    CHECK(rig.plugin("shop").state() == PluginState::Quarantined);
    CHECK(rig.plugin("shop").reason().message == words);
    CHECK(rig.until_state("quiet", PluginState::Ready));
    SECTION("until the operator releases it") {
      rig.cloud.events.clear();
      REQUIRE(rig.released("acme.shop"));
      CHECK(rig.plugin("shop").state() == PluginState::Starting);
      CHECK(has(told(rig, "quarantine", "released"), "by the operator"));
      CHECK(rig.released("acme.quiet").error().code == "bad_request");
      CHECK(rig.released("acme.other").error().code == "not_found");
      REQUIRE(rig.until_state("shop", PluginState::Quarantined));  // it gets five new chances
    }
    SECTION("until all are released") {
      CHECK(supervisor->release_all() == std::vector<std::string>{"acme.shop"});
      CHECK(rig.until_state("shop", PluginState::Starting));
    }
    SECTION("until it has another configuration, live") {
      rig.settings.plugins["acme.shop"].config = json::parse_object(R"({"behave":"good"})").value();
      supervisor->configure(rig.settings);
      CHECK(rig.until_state("shop", PluginState::Ready));
      CHECK(has(told(rig, "quarantine", "released"), "another file or another configuration"));
    }
  }
  SECTION("another file is another chance") {
    testing::put_file(rig.folder.path() / "plugins/acme.shop/1.0.0/plugin.so", "a library that was mended");
    rig.make().start();
    CHECK(rig.plugin("shop").state() == PluginState::Starting);
  }
  SECTION("other limits are another chance") {
    rig.settings.plugins["acme.shop"].limits.memory_bytes = 128 * config::kMiB;
    rig.make().start();
    CHECK(rig.plugin("shop").state() == PluginState::Starting);
  }
  SECTION("a damaged record holds nobody") {
    const std::string content = GENERATE("", "{", R"({"plugins":[]})", R"({"plugins":{"acme.shop":7}})",
                                         R"({"plugins":{"acme.shop":{"file":"x"},"../..":{}}})");
    testing::put_file(rig.folder.path() / "state/quarantine.json", content);
    rig.make().start();
    CHECK(rig.plugin("shop").state() == PluginState::Starting);
  }
}

TEST_CASE("[iso-5] failures that are far enough apart never mean quarantine") {
  RestartHistory history(5, 10min);
  TimePoint now{};
  for (int i = 0; i < 100; ++i) CHECK_FALSE(history.failed(now += 151s));
  history.forget();
  for (int i = 0; i < 4; ++i) CHECK_FALSE(history.failed(now += 1s));
  CHECK(history.failed(now += 1s));
}

TEST_CASE("[ops-6] in safe mode no plugin runs until it is released") {
  Rig rig;
  rig.add("shop", "{}");
  rig.add("quiet", "{}");
  auto& supervisor = rig.make();
  supervisor.enter_safe_mode({"safe_mode", "hawserd ended badly"});
  supervisor.start();
  CHECK(rig.plugin("shop").state() == PluginState::Held);
  CHECK(rig.plugin("shop").reason().code == "safe_mode");
  CHECK(told(rig, "quarantine", "safe_mode") == "safe mode: hawserd ended badly");
  CHECK(supervisor.subconnections().rows().at("shop").failure_reason == "safe_mode");
  CHECK_FALSE(rig.until([&] { return rig.plugin("shop").pid().has_value(); }, 200ms));
  SECTION("one by one, to find the culprit") {
    REQUIRE(rig.released("acme.shop"));
    CHECK(rig.until_state("shop", PluginState::Ready));
    CHECK(rig.plugin("quiet").state() == PluginState::Held);
    CHECK(supervisor.safe_mode());
  }
  SECTION("all at once") {
    CHECK(supervisor.release_all() == std::vector<std::string>{"acme.quiet", "acme.shop"});
    CHECK(rig.until_state("shop", PluginState::Ready));
    CHECK(rig.until_state("quiet", PluginState::Ready));
    CHECK_FALSE(supervisor.safe_mode());
  }
  SECTION("by a new configuration") {
    rig.settings.site = "another";
    supervisor.configure(rig.settings);
    CHECK(rig.until_state("shop", PluginState::Ready));
  }
  SECTION("or after calm") {
    supervisor.leave_safe_mode("calm");
    CHECK(rig.until_state("shop", PluginState::Ready));
    CHECK(told(rig, "quarantine", "released") == "safe mode is over: calm");
  }
}

TEST_CASE("[B60] what a host writes into its control channel is refused with its fault, and costs the others nothing") {
  const std::pair<std::string, std::string> expected =
      GENERATE(std::pair<std::string, std::string>{"bad_magic", "does not begin as one"},
               std::pair<std::string, std::string>{"bad_length_0", "claims 0 bytes and has 15"},
               std::pair<std::string, std::string>{"bad_length_4g", "claims 4294967295 bytes"},
               std::pair<std::string, std::string>{"bad_truncated", "has 7 bytes"},
               std::pair<std::string, std::string>{"bad_descriptors", "came with descriptors"});
  INFO(expected.first);
  Rig rig;
  rig.add("shop", R"({"behave":")" + expected.first + R"("})");
  rig.add("quiet", "{}");
  rig.make().start();
  REQUIRE(rig.until_state("shop", PluginState::Backoff));
  CHECK(rig.plugin("shop").reason().code == "bad_payload");
  INFO(rig.plugin("shop").reason().message);
  CHECK(has(rig.plugin("shop").reason().message, "a control message " + expected.second));
  REQUIRE(rig.until_state("quiet", PluginState::Ready));
  CHECK(rig.plugin("quiet").restarts() == 0);
}

TEST_CASE("[B60] a host that never reads is given up when its queue is full, and named") {
  Rig rig;
  rig.add("shop", R"({"behave":"never_reads"})");
  rig.add("quiet", R"({"echo":true})");
  auto& supervisor = rig.make();
  supervisor.start();
  REQUIRE(rig.until_state("shop", PluginState::Ready));
  REQUIRE(rig.until_state("quiet", PluginState::Ready));
  for (int i = 0; i < 5'000 && rig.plugin("shop").state() == PluginState::Ready; ++i) {
    supervisor.revoke("shop", std::string(1000, 'x'));
    rig.loop.turn(Clock::now());
  }
  REQUIRE(rig.until_state("shop", PluginState::Backoff));
  CHECK(rig.plugin("shop").reason().code == "stalled");
  CHECK(has(rig.plugin("shop").reason().message, "does not read what it is told"));
  supervisor.revoke("quiet", "test");
  CHECK(rig.echo("revoke") != "no echo of revoke");
}

TEST_CASE("a host that tells of another plugin's service changes nothing there") {
  Rig rig;
  rig.add("shop", R"({"behave":"lies"})");
  rig.add("quiet", "{}");
  auto& supervisor = rig.make();
  supervisor.start();
  REQUIRE(rig.until_state("quiet", PluginState::Ready));
  const int grants_before = rig.cloud.grant_requests;
  REQUIRE(rig.echo("lies") == "are told");
  const auto& row = supervisor.subconnections().rows().at("quiet");
  CHECK(row.state != "ready");
  CHECK(row.sent_messages.total() == 0);
  CHECK(supervisor.subconnections().dropped() == 0);
  CHECK(rig.cloud.grant_requests == grants_before);
  CHECK(told(rig, "dropped", "queue_full") == "no event dropped queue_full");
  CHECK(told(rig, "quarantine", "") == "no event quarantine ");
  CHECK(rig.plugin("shop").lies() == 5);
}
