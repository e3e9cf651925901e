#include <fstream>

#include "core/host/host_process.hpp"
#include "sdk/include/hawser/plugin.h"

using namespace hawser;
using namespace hawser::host::testing;

namespace {

const std::string kFolder = HAWSER_TEST_PLUGINS;
std::string plugin(const std::string& name) { return kFolder + "/" + name + ".so"; }

// The sentence with which the host refuses; the host has ended when this returns.
std::string refusal(HostProcess& host, const std::string& reason) {
  const auto message = host.wait_for_type("refused");
  CHECK(json::text_or(message, "reason") == reason);
  CHECK(host.wait_for_exit() == 1);
  return json::text_or(message, "detail");
}

}  // namespace

TEST_CASE("a plugin that cannot be loaded is refused with a sentence that names the file and the fault") {
  SECTION("missing file") {
    HostProcess host("/nowhere/plugin.so");
    CHECK(refusal(host, "abi_refused") ==
          "/nowhere/plugin.so: no such file; install the plugin or take it from plugins.enabled");
  }
  SECTION("no shared object") {
    const auto file = std::filesystem::temp_directory_path() / ("hawser-text-" + std::to_string(::getpid()) + ".so");
    std::ofstream(file) << "this is text, and long enough for a header of an object file that it is not\n";
    HostProcess host(file.string());
    CHECK(refusal(host, "abi_refused") == file.string() + ": invalid ELF header");
    std::filesystem::remove(file);
  }
  SECTION("no symbol") {
    HostProcess host(plugin("no_symbol"));
    CHECK(refusal(host, "abi_refused") ==
          plugin("no_symbol") + ": exports no hawser_plugin_v1, so it is no Hawser plugin");
  }
  SECTION("another major") {
    HostProcess host(plugin("other_major"));
    CHECK(refusal(host, "abi_refused") ==
          plugin("other_major") + ": built for ABI major 2, this host has major 1; install a build for it");
  }
  SECTION("no table") {
    HostProcess host(plugin("no_table"));
    CHECK(refusal(host, "abi_refused") ==
          plugin("no_table") + ": the plugin refuses this host (its entry function gave no table)");
  }
  SECTION("a later minor") {
    HostProcess host(plugin("much_later_minor"));
    CHECK(refusal(host, "abi_refused") == "the plugin needs ABI 1.99, this host has 1." + std::to_string(HWS_ABI_MINOR) + "; upgrade the agent");
  }
  SECTION("a short table") {
    HostProcess host(plugin("short_table"));
    CHECK(refusal(host, "abi_refused") ==
          "the plugin's table has 16 bytes, at least 72 are due; rebuild it against hawser/plugin.h");
  }
  SECTION("another id") {
    HostProcess host(plugin("other_id"));
    CHECK(refusal(host, "abi_refused") == "the plugin calls itself acme.other, its manifest says acme.probe");
  }
  SECTION("no start") {
    HostProcess host(plugin("no_start"));
    CHECK(refusal(host, "abi_refused") == "the plugin's table lacks create, configure, start or stop");
  }
}

TEST_CASE("a configuration that the plugin refuses is refused with the plugin's own sentence") {
  HostProcess host(plugin("probe"), R"({"interval":"refuse_me"})");
  CHECK(refusal(host, "config_refused") == "interval: 7 is no colour");
}

TEST_CASE("a plugin that fails to start says why") {
  HostProcess host(plugin("probe"), R"({"do":"fail_in_start"})");
  CHECK(refusal(host, "exited") == "start() answered HWS_E_FAIL: the sensor is not there");
}

TEST_CASE("an exception that crosses the boundary ends the host with a sentence") {
  SECTION("in start") {
    HostProcess host(plugin("probe"), R"({"do":"throw_in_start"})");
    CHECK(refusal(host, "exited") == "an exception crossed the boundary in start(): the probe throws");
  }
  SECTION("in a timer, of any type") {
    HostProcess host(plugin("probe"), R"({"do":"throw_in_timer"})");
    CHECK(refusal(host, "exited") ==
          "an exception crossed the boundary in timer(): something that is no std::exception");
  }
}

TEST_CASE("[F74] an allocation that fails is told as want of memory, not as an exception") {
  HostProcess host(plugin("probe"), R"({"do":"hungry"})");
  CHECK(refusal(host, "out_of_memory") == "an allocation failed in start()");
}

TEST_CASE("a plugin starts, tells its health, answers configurations, and stops cleanly with exit 0") {
  HostProcess host(plugin("probe"));
  CHECK(json::text_or(host.wait_for_type("health"), "state") == "ready");
  host.wait_for_type("ready");
  host.say(R"({"type":"configure","id":"1","mode":"check","config":{"a":"refuse_me"}})");
  auto configured = host.wait_for_type("configured");
  CHECK(json::text_or(configured, "status") == "refused");
  CHECK(json::text_or(configured, "why") == "interval: 7 is no colour");
  host.say(R"({"type":"configure","id":"2","mode":"apply","config":{"a":"needs_restart"}})");
  configured = host.wait_for_type("configured");
  CHECK(json::text_or(configured, "id") == "2");
  CHECK(json::text_or(configured, "status") == "restart_needed");
  host.say(R"({"type":"something_new"})");
  host.say(R"({"type":"stop","deadline_ms":5000})");
  host.wait_for_state("stopped");
  CHECK(host.wait_for_exit() == 0);
}

TEST_CASE("a plugin that never says that it stopped ends at the deadline") {
  HostProcess host(plugin("probe"), R"({"do":"never_stop"})");
  host.wait_for_type("ready");
  host.say(R"({"type":"stop","deadline_ms":400})");
  CHECK(host.wait_for_exit(3s) == 0);
}

TEST_CASE("a stuck plugin does not keep its host from ending at the deadline") {
  HostProcess host(plugin("probe"), R"({"do":"hang_in_start"})");
  host.say(R"({"type":"stop","deadline_ms":200})");
  CHECK(host.wait_for_exit(3s) == 0);
}

TEST_CASE("[iso-8] losing hawserd ends the host within 1 s, also while the plugin is stuck") {
  for (const char* config : {R"({})", R"({"do":"hang_in_start"})"}) {
    HostProcess host(plugin("probe"), config);
    if (std::string(config) == "{}") host.wait_for_type("ready");
    host.drop_channel();
    CHECK(host.wait_for_exit(1s) == 0);
  }
}

TEST_CASE("the host's facts, actions, cloud question and thread rule reach the plugin") {
  HostProcess host(plugin("probe"), R"({"do":"ask"})");
  const auto run = host.wait_for_type("action_run");
  CHECK(json::text_or(run, "name") == "allowed");
  host.say(R"({"type":"action_done","id":")" + json::text_or(run, "id") +
           R"(","exit_code":3,"output_b64":"aGkh","reason":""})");
  host.wait_for_log("action 3 hi!");
  HostProcess other(plugin("probe"), R"({"do":"ask"})");
  const auto lost = other.wait_for_type("action_run");
  const auto reach = other.wait_for_type("cloud_reach");
  other.say(R"({"type":"action_done","id":")" + json::text_or(lost, "id") +
            R"(","exit_code":null,"output_b64":"","reason":"time limit"})");
  other.say(R"({"type":"cloud_reached","id":")" + json::text_or(reach, "id") + R"(","ok":true,"how":"keepalive_ack"})");
  for (const char* line : {"device.serial=SN-1 0", "device.site=lab 0", "no.such.key= -3", "not_allowed answered -4",
                           "other thread -9", "misbehaving: timer() belongs to the service thread", "posted",
                           "action -2147483648 time limit", "reached 0 keepalive_ack"})
    other.wait_for_log(line);
}

TEST_CASE("a plugin that floods its log is not slowed down, and what was dropped is counted") {
  HostProcess host(plugin("probe"), R"({"do":"flood_log"})");
  host.wait_for_type("ready");
  host.wait_for("the count of dropped lines", [](const json::Object& message) {
    return json::text_or(message, "message").find("log lines were dropped") != std::string::npos;
  });
  host.say(R"({"type":"stop","deadline_ms":5000})");
  CHECK(host.wait_for_exit() == 0);
}

TEST_CASE("a service that the manifest does not name is not opened") {
  HostProcess host(plugin("probe"), R"({"do":"open_other"})");
  host.wait_for_log("open -4");
}

TEST_CASE("a subconnection waits for a grant, and says so; a refusal and a revocation are shown with their reason") {
  HostProcess host(plugin("probe"), R"({"do":"open_probe"})");
  host.wait_for_state("waiting_for_grant");
  host.say(R"({"type":"grant_refused","service":"probe","reason":"microservice_down"})");
  auto status = host.wait_for("refused", [](const json::Object& m) { return json::text_or(m, "state") == "refused"; });
  CHECK(json::text_or(status, "failure_reason") == "microservice_down");
  host.say(R"({"type":"revoke","service":"probe","reason":"plugin_blocked"})");
  status = host.wait_for("revoked", [](const json::Object& m) { return json::text_or(m, "state") == "revoked"; });
  CHECK(json::text_or(status, "failure_reason") == "plugin_blocked");
  host.say(R"({"type":"stop","deadline_ms":5000})");
  host.wait_for("stopped", [](const json::Object& m) { return json::text_or(m, "type") == "health"; });
  CHECK(host.wait_for_exit() == 0);
}

TEST_CASE("a grant that nobody answers leads to backoff with the reason, and its token appears nowhere") {
  HostProcess host(plugin("probe"), R"({"do":"open_probe"})");
  host.say(R"({"type":"grant","grant":{"service":"probe","protocol":"acme.probe.v1","url":"wss://127.0.0.1:1/x",
              "token":"TOP-SECRET","expires_in":600,"max_message_bytes":1048576,"max_in_flight_messages":100,
              "max_in_flight_bytes":8388608,"ping_s":60}})");
  const auto status =
      host.wait_for("backoff", [](const json::Object& m) { return json::text_or(m, "state") == "backoff"; });
  CHECK(json::text_or(status, "failure_reason") == "connect_refused");
  CHECK(json::text_or(status, "url") == "wss://127.0.0.1:1/x");
  CHECK(host.story().find("TOP-SECRET") == std::string::npos);
  host.say(R"({"type":"server_changed"})");
  host.wait_for_state("waiting_for_grant");
}
