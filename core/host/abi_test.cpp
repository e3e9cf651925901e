#include <fstream>

#include "core/base/files.hpp"
#include "core/host/host_process.hpp"
#include "sdk/include/hawser/plugin.h"

using namespace hawser;
using namespace hawser::host::testing;

// Today's host with plugins of other times, and with every part of the ABI: those of test_plugins/.
namespace {

std::string built(const std::string& name) { return std::string(HAWSER_TEST_PLUGINS) + "/" + name + ".so"; }

void wait_for_logs(HostProcess& host, std::initializer_list<const char*> lines) {
  for (const char* line : lines) host.wait_for_log(line);
}

void answer_questions(HostProcess& host) {
  const auto run = host.wait_for_type("action_run");
  const auto reach = host.wait_for_type("cloud_reach");
  host.say(R"({"type":"action_done","id":")" + json::text_or(run, "id") +
           R"(","exit_code":3,"output_b64":"aGkh","reason":""})");
  host.say(R"({"type":"cloud_reached","id":")" + json::text_or(reach, "id") + R"(","ok":true,"how":"keepalive_ack"})");
}

void stop(HostProcess& host, const std::string& more = "") {
  host.say(R"({"type":"stop","deadline_ms":5000)" + more + "}");
  CHECK(host.wait_for_exit() == 0);
}

}  // namespace

TEST_CASE("[sdk-1] [sdk-2] a C plugin of the released ABI 1.0 finds all of it on today's host") {
  HostProcess host(built("released_1_0"));
  answer_questions(host);
  wait_for_logs(host, {"serial SN-1 0",
                       "post  0",
                       "timer  0",
                       "watch  0",
                       "run  0",
                       "asked  0",
                       "figure  0",
                       "state count  -10",
                       "state put  0",
                       "open  0",
                       "posted  0",
                       "timer cancelled  0",
                       "readable, unwatched  0",
                       "state written  0",
                       "action hi! 3",
                       "reached keepalive_ack 0",
                       "resumed  1",
                       "durable  1",
                       "source-backed  2",
                       "accepted  2"});
  host.say(R"({"type":"configure","id":"1","mode":"check","config":{"long":")" + std::string(80, 'x') + R"("}})");
  CHECK(json::text_or(host.wait_for_type("configured"), "why") == "the configuration is too long");
  stop(host);
}

TEST_CASE("[sdk-2] the C++ face over the released ABI 1.0 works on today's host") {
  HostProcess host(built("released_1_0_face"));
  answer_questions(host);
  wait_for_logs(host, {"serial SN-1", "posted", "timer", "action 3hi!", "start number 1", "written", "resumed 1"});
  stop(host);
}

TEST_CASE("[sdk-2] a plugin of a later minor runs on this host and finds out what it lacks") {
  HostProcess host(built("later_minor"));
  host.wait_for_log("this host has no later(): it goes without");
  host.wait_for_type("ready");
  stop(host);
}

TEST_CASE("[sdk-2] a plugin that needs a later minor is refused with the way out") {
  HostProcess host(built("later_minor_needed"));
  const auto refused = host.wait_for_type("refused");
  CHECK(json::text_or(refused, "reason") == "abi_refused");
  CHECK(json::text_or(refused, "detail") == "the plugin needs ABI 1." + std::to_string(HWS_ABI_MINOR + 1) +
                                                ", this host has 1." + std::to_string(HWS_ABI_MINOR) +
                                                "; upgrade the agent");
}

TEST_CASE("[sdk-6] every function of the service thread refuses another thread, does nothing, and is reported") {
  HostProcess host(built("wrong_thread"));
  for (const char* function :
       {"hws_host.timer", "hws_host.timer_cancel", "hws_host.watch", "hws_host.unwatch", "hws_host_subconn.open",
        "hws_host_subconn.settle", "hws_host_action.run", "hws_host_cloud.reached", "hws_host_state.get",
        "hws_host_state.each", "hws_host_state.put", "hws_host_state.change"})
    host.wait_for_log(std::string(function) + " -9");
  for (const char* function : {"timer", "timer_cancel", "watch", "unwatch", "open", "settle", "run", "reached",
                               "state get", "state each", "state put", "state change"})
    host.wait_for_log(std::string("misbehaving: ") + function + "() belongs to the service thread");
  wait_for_logs(host, {"the timer is there still", "the watch is there still", "the key that was put: -10",
                       "no second handle", "from another thread: metric 0", "posted from another thread"});
  for (const auto& message : host.heard) {
    CHECK(json::text_or(message, "type") != "action_run");
    CHECK(json::text_or(message, "type") != "cloud_reach");
  }
  stop(host);
}

TEST_CASE("[sdk-7] private state survives kill -9 of the host, and its changes happen together") {
  HostProcess host(built("released_1_0"));
  host.wait_for_log("state written  0");
  ::kill(host.pid(), SIGKILL);
  CHECK(host.wait_for_exit() == -SIGKILL);
  HostProcess next(HostStart{built("released_1_0"), "{}", R"("x":0)", {}, -1, host.state_dir()});
  wait_for_logs(next, {"state count  0", "state has count 1", "state written  0"});
  stop(next);
}

TEST_CASE("a private state that is damaged is set aside, told, and begun anew") {
  HostProcess host(built("released_1_0"));
  host.wait_for_log("state written  0");
  stop(host);
  std::ofstream(host.state_dir() / ".hawser-state", std::ios::app) << "x";
  HostProcess next(HostStart{built("released_1_0"), "{}", R"("x":0)", {}, -1, host.state_dir()});
  wait_for_logs(next, {"the private state is lost: ", "state count  -10", "state written  0"});
  CHECK(std::filesystem::exists(host.state_dir() / ".hawser-state.damaged"));
}

TEST_CASE("[sdk-7] the plugin's own figures reach the core, named and with their unit") {
  HostProcess host(built("released_1_0"));
  const auto message = host.wait_for_type("metrics");
  CHECK(json::to_text(json::array_member(message, "metrics").value()) ==
        R"([{"name":"beans","kind":"counter","unit":"{bean}","value":42,"attributes":{"shelf":"left"}}])");
}

TEST_CASE("[sdk-7] in an upgrade the old version saves, the next one loads before its configuration") {
  HostProcess old(built("released_1_0"));
  old.wait_for_type("ready");
  stop(old, R"(,"hand_over":true)");
  const auto file = old.state_dir() / ".hawser-handover";
  REQUIRE(std::filesystem::exists(file));
  const auto start = [&](const std::string& name, const std::string& more, const std::string& config = "{}") {
    return HostStart{built(name), config, more, {}, -1, old.state_dir()};
  };
  SECTION("and what was saved is gone once it runs") {
    HostProcess next(start("released_1_0", R"("x":0)"));
    next.wait_for_log("handed over beans: 42 7");
    next.wait_for_type("ready");
    CHECK_FALSE(std::filesystem::exists(file));
  }
  SECTION("on probation it stays, for the old version that may be put back") {
    HostProcess next(start("released_1_0", R"("probation":true)"));
    next.wait_for_type("ready");
    CHECK(std::filesystem::exists(file));
  }
  SECTION("on probation it is loaded once, and again by the next version that takes over") {
    HostProcess next(start("released_1_0", R"("probation":true)"));
    next.wait_for_log("handed over beans: 42 7");
    next.wait_for_type("ready");
    stop(next);
    CHECK(read_file(file, 65536)->find(R"("taken_by":"1.2.3")") != std::string::npos);
    HostProcess again(start("released_1_0", R"("probation":true)"));
    again.wait_for_type("ready");
    CHECK_FALSE(again.heard_log("handed over"));
  }
  SECTION("an older version takes nothing over") {
    HostProcess next(start("released_1_0_face", R"("probation":true,"takes_over":false)"));
    next.wait_for_type("ready");
    CHECK(std::filesystem::exists(file));
  }
  SECTION("a version that cannot take it is refused with its own words") {
    HostProcess next(start("released_1_0_face", R"("probation":true)"));
    const auto refused = next.wait_for_type("refused");
    CHECK(json::text_or(refused, "detail") ==
          "load() answered HWS_E_INVALID: saved by a later version than this (saved by version 1.2.3)");
    CHECK(next.wait_for_exit() == 1);
    CHECK(std::filesystem::exists(file));
  }
  SECTION("which heals where there is no version to go back to: the next start is without") {
    HostProcess next(start("released_1_0_face", R"("x":0)"));
    next.wait_for_type("refused");
    CHECK(next.wait_for_exit() == 1);
    HostProcess again(start("released_1_0_face", R"("x":0)"));
    again.wait_for_type("ready");
  }
  SECTION("a version that wants nothing goes on without") {
    HostProcess next(start("later_minor", R"("x":0)"));
    next.wait_for_type("ready");
  }
  SECTION("what is damaged is not taken, and told") {
    std::ofstream(file, std::ios::app) << "x";
    HostProcess next(start("released_1_0", R"("x":0)"));
    next.wait_for_log("nothing is taken over from the version before: " + file.string() + " is damaged");
    next.wait_for_type("ready");
  }
}

TEST_CASE("[sdk-10] what a version on probation did to the private state is undone for the version that comes back") {
  HostProcess old(built("released_1_0"));
  old.wait_for_log("state written  0");
  stop(old, R"(,"keep_state":true)");
  const auto start = [&](const std::string& more) {
    return HostStart{built("released_1_0"), "{}", more, {}, -1, old.state_dir()};
  };
  HostProcess next(start(R"("probation":true)"));  // counts on
  next.wait_for_log("state written  0");
  next.wait_for_type("ready");
  stop(next);
  REQUIRE(std::filesystem::exists(old.state_dir() / ".hawser-state-before"));
  HostProcess back(start(R"("x":0)"));
  wait_for_logs(back, {"the private state is what this version had left", "state written  0"});
  back.wait_for_type("ready");
  stop(back);
  CHECK(read_file(old.state_dir() / ".hawser-state", 65536)->find("count2") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(old.state_dir() / ".hawser-state-before"));
}

TEST_CASE("[sdk-10] a second stop does not take back that an upgrade follows") {
  HostProcess old(built("released_1_0"));
  old.wait_for_type("ready");
  old.say(R"({"type":"stop","deadline_ms":5000,"hand_over":true})");
  stop(old);
  CHECK(std::filesystem::exists(old.state_dir() / ".hawser-handover"));
}

TEST_CASE("an end that is no upgrade saves nothing") {
  HostProcess host(built("released_1_0"));
  host.wait_for_type("ready");
  stop(host);
  CHECK_FALSE(std::filesystem::exists(host.state_dir() / ".hawser-handover"));
}
