#include "core/control/state_text.hpp"

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <sstream>

#include "core/control/ctl_state.hpp"
#include "core/control/reasons.hpp"
#include "core/control/text_layout.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::control;

namespace {

json::Object parse(const std::string& text) { return json::parse_object(text).value(); }

void use_utc() {
  ::setenv("TZ", "UTC", 1);
  ::tzset();
}

const char* const kGuideState = R"({"cloud_connection_state":"Established","device_state":"Request_success",
  "cloud_server_address":"139.217.27.153","cloud_server_domain_name":"oasis.h3c.com","cloud_connection_mode":"Https",
  "cloud_server_authentication_port":19443,"cloud_server_connection_port":443,"connected_at":"2018-01-27T14:18:40Z",
  "duration_s":121,"process_state":"Message received","failure_reason":null,"last_down_reason":"peer_closed",
  "last_down_at":"2018-01-27T13:18:40.250Z","last_report_failure_reason":null,"last_report_failure_at":null,
  "dropped_packets_after_reaching_buffer_limit":0,"total_dropped_packets":1,"last_report_incomplete_reason":null,
  "last_report_incomplete_at":null,"buffer_full_count":0})";

// As the guide prints it, but for "Wed": 27 January 2018 was a Saturday.
const char* const kGuideText = R"(Cloud connection state                      : Established
Device state                                : Request_success
Cloud server address                        : 139.217.27.153
Cloud server domain name                    : oasis.h3c.com
Cloud connection mode                       : Https
Cloud server authentication port            : 19443
Cloud server connection port                : 443
Connected at                                : Sat Jan 27 14:18:40 2018
Duration                                    : 00d 00h 02m 01s
Process state                               : Message received
Failure reason                              : N/A
Last down reason                            : socket connection error (Details:N/A)
Last down at                                : Sat Jan 27 13:18:40 2018
Last report failure reason                  : N/A
Last report failure at                      : N/A
Dropped packets after reaching buffer limit : 0
Total dropped packets                       : 1
Last report incomplete reason               : N/A
Last report incomplete at                   : N/A
Buffer full count                           : 0
)";

}  // namespace

TEST_CASE("[state-1] state begins with the guide's 20 lines, byte by byte") {
  use_utc();
  const std::string text = state_text(parse(kGuideState), kUnlimitedWidth);
  CHECK(text.substr(0, std::string(kGuideText).size() + 1) == std::string(kGuideText) + "\n");
}

TEST_CASE("[state-1] after them come servers, the next attempt and the subconnections as an aligned table") {
  use_utc();
  auto state = parse(kGuideState);
  state->set("servers",
             parse(R"({"a":[{"domain":"a.example","port":19443,"role":"primary","source":"config"}]})")->get("a"));
  state->set("next_attempt_in_s", 12);
  state->set("backoff_s", 30);
  state->set("serial", "219801A2BC1234");
  state->set("subconnections", parse(R"({"a":[
    {"service":"monitoring","state":"ready","since":"2018-01-07T14:18:40Z","failure_reason":null,"reconnects":1,
     "sent_messages":120,"queued_messages":0,"dropped":{"queue_full":2,"nacked":1}},
    {"service":"log_upload","state":"backoff","since":"2018-01-27T14:18:40Z","failure_reason":"connect_refused",
     "failure_detail":"192.0.2.1:443","reconnects":0,"sent_messages":0,"queued_messages":null,"dropped":{}}]})")
                                   ->get("a"));
  const std::string text = state_text(state, kUnlimitedWidth);
  CHECK(text.substr(std::string(kGuideText).size() + 1) ==
        R"(Server 1                                    : a.example:19443 (primary, config)
Next attempt in                             : 12 s
Backoff                                     : 30 s
Serial number                               : 219801A2BC1234
Site                                        : N/A

Service     State    Since                     Sent  Queued  Dropped  Reconnects  Failure reason
monitoring  ready    Sun Jan  7 14:18:40 2018  120   0       3        1           N/A
log_upload  backoff  Sat Jan 27 14:18:40 2018  0     N/A     0        0           connection refused (Details:192.0.2.1:443)
)");
}

TEST_CASE(
    "[state-1] a server shows where it comes from, whether it is current, why it failed and when it is asked again") {
  const auto state = parse(R"({"servers":[
    {"domain":"a.example","port":19444,"role":"primary","source":"dhcp","ip_version":"any","current":true,
     "failure_reason":null},
    {"domain":"b.example","port":443,"role":"backup","source":"config","vpn_instance":"mgmt","source_ip":"192.0.2.9",
     "ip_version":"4","current":false,"failure_reason":"too_many_requests","failure_detail":"HTTP 429",
     "retry_in_s":30}]})");
  const std::string text = state_text(state, kUnlimitedWidth);
  CHECK(text.find("Server 1                                    : a.example:19444 (primary, dhcp, current)\n") !=
        std::string::npos);
  CHECK(text.find("Server 2                                    : b.example:443 (backup, config, vpn-instance mgmt, "
                  "source-ip 192.0.2.9, IPv4): too many requests (Details:HTTP 429), asked again in 30 s\n") !=
        std::string::npos);
}

TEST_CASE("[conn-23] state says when certificates are not checked against the clock, and which clock is far off") {
  CHECK(state_text(parse(R"({"clock_floor_used":false,"clock_ahead_s":-299})"), 0).find("lock") == std::string::npos);
  const auto behind = state_text(parse(R"({"clock_floor_used":true,"clock_ahead_s":-3600})"), 0);
  CHECK(behind.find("Certificates                                : checked against the build time or the cloud's last "
                    "time, because the clock is behind\n"
                    "Clock                                       : 00d 01h 00m 00s behind the cloud's: set it\n") !=
        std::string::npos);
  CHECK(state_text(parse(R"({"clock_ahead_s":90061})"), 0)
            .find("Clock                                       : 01d 01h 01m 01s ahead of the cloud's: set it") !=
        std::string::npos);
}

TEST_CASE("[ops-5] state says that the configuration on disk is refused, and what to do") {
  CHECK(state_text(parse(R"({"refused_config_detail":null})"), 0).find("Configuration") == std::string::npos);
  CHECK(state_text(parse(R"({"refused_config_detail":"a.toml:1:1: x: is wrong\na.toml:2:1: y: is wrong"})"), 0)
            .find("Configuration                               : the one on disk is refused, the old one goes on "
                  "running: a.toml:1:1: x: is wrong (and more); mend it, then run: hawserctl config reload\n") !=
        std::string::npos);
}

TEST_CASE("[state-2] history is a table, oldest first, with reasons in words") {
  use_utc();
  const auto answer = parse(R"({"events":[
    {"at":null,"uptime_ms":61000,"kind":"up","detail":"a.example:19443"},
    {"at":"2018-01-27T14:18:40Z","uptime_ms":5,"kind":"service_state","service":"monitoring","reason":"hang_up",
     "detail":"x\u001b"},5]})");
  CHECK(history_text(answer->getArray("events"), kUnlimitedWidth) ==
        R"(Time                             Kind           Service     Reason                   Detail
clock unset, up 00d 00h 01m 01s  up             -           -                        a.example:19443
Sat Jan 27 14:18:40 2018         service_state  monitoring  no answer from the peer  x\x1b
)");
  CHECK(history_text(json::make_array(), kUnlimitedWidth) == "Nothing has happened yet.\n");
}

TEST_CASE("state --watch compares what changes, not what moves by itself") {
  const auto watched = [](const char* text) { return watched_text(parse(text)); };
  CHECK(watched(R"({"duration_s":1,"next_attempt_in_s":5,"servers":[{"domain":"a","retry_in_s":3}],
                    "subconnections":[{"service":"m","sent_messages":7,"rtt_ms":3}]})") ==
        watched(R"({"duration_s":2,"next_attempt_in_s":4,"servers":[{"domain":"a","retry_in_s":2}],
                    "subconnections":[{"service":"m","sent_messages":8,"rtt_ms":4}]})"));
  CHECK(watched(R"({"total_dropped_packets":1})") != watched(R"({"total_dropped_packets":2})"));
}

TEST_CASE("an answer that lacks everything, or has it all of the wrong type, is N/A and no more") {
  const std::string text = state_text(json::make_object(), kUnlimitedWidth);
  CHECK(std::count(text.begin(), text.end(), '\n') == 27);
  CHECK(text.find("Duration                                    : N/A\n") != std::string::npos);
  const auto odd = parse(R"({"duration_s":"x","connected_at":5,"failure_reason":{},"servers":5,"subconnections":[5,{}],
                             "process_state":["a"]})");
  CHECK(state_text(odd, kUnlimitedWidth).find("Process state                               : [\"a\"]\n") !=
        std::string::npos);
}

TEST_CASE("what could move a terminal's cursor is escaped") {
  const auto state = parse(R"({"device_state":"\u001b[2Jx","failure_reason":"acme.\u001b","failure_detail":"a\nb",
    "subconnections":[{"service":"\u0007","state":"x\ty","dropped":{}}],"connected_at":"\u001b"})");
  const std::string text = state_text(state, kUnlimitedWidth);
  CHECK(text.find('\x1b') == std::string::npos);
  CHECK(text.find('\x07') == std::string::npos);
  CHECK(text.find("Device state                                : \\x1b[2Jx\n") != std::string::npos);
  CHECK(text.find("Failure reason                              : acme.\\x1b (Details:a\\x0ab)\n") != std::string::npos);
  CHECK(text.find("\\x07     x\\x09y") != std::string::npos);
}

TEST_CASE("B29 where a table does not fit the terminal, rows become blocks") {
  TextTable table({"Plugin", "State"});
  table.add({"hawser.monitoring", "ready"});
  table.add({"b", ""});
  CHECK(table.text(24) == "Plugin             State\nhawser.monitoring  ready\nb                  -\n");
  CHECK(table.text(23) == "Plugin: hawser.monitoring\nState: ready\n\nPlugin: b\nState: -\n");
}

TEST_CASE("times and durations are shown as the guide shows them") {
  use_utc();
  CHECK(local_time("2024-02-29T23:59:59Z") == "Thu Feb 29 23:59:59 2024");
  CHECK(local_time("2024-03-01T00:59:59.5+01:00") == "Thu Feb 29 23:59:59 2024");
  CHECK(local_time("yesterday") == "yesterday");
  CHECK(duration(0) == "00d 00h 00m 00s");
  CHECK(duration(90061) == "01d 01h 01m 01s");
  CHECK(duration(86400 * 1234) == "1234d 00h 00m 00s");
  CHECK(duration(-5) == "00d 00h 00m 00s");
}

TEST_CASE("every reason of the protocol has words of its own") {
  std::ifstream file(HAWSER_SOURCE_DIR "/sdk/protocol.md");
  std::stringstream whole;
  whole << file.rdbuf();
  const std::string text = whole.str();
  const auto start = text.find("## 7. Reasons");
  REQUIRE(start != std::string::npos);
  const std::string reasons = text.substr(start);
  int count = 0;
  std::size_t at = reasons.find('`');
  for (std::size_t end = 0; at != std::string::npos; at = reasons.find('`', end + 1)) {
    end = reasons.find('`', at + 1);
    REQUIRE(end != std::string::npos);
    const std::string reason = reasons.substr(at + 1, end - at - 1);
    if (reason.find_first_not_of("abcdefghijklmnopqrstuvwxyz_") != std::string::npos) continue;
    if (reason == "skipped" || reason == "dropped" || reason == "detail") continue;  // names of messages and members
    INFO(reason);
    CHECK(reason_in_words(reason) != reason);
    ++count;
  }
  CHECK(count > 80);
  CHECK(reason_in_words("acme.out_of_paper") == "acme.out_of_paper");
}

TEST_CASE("plugins are shown with the sentence why they do not run") {
  const auto answer = parse(R"({"plugins":[
    {"id":"hawser.monitoring","version":"1.0.0","state":"ready","reason":null,"pid":42,"restarts":0,
     "services":["monitoring"]},
    {"id":"acme.x","version":null,"state":"stopped","reason":"abi_refused","detail":"plugin.so: no symbol","pid":null,
     "restarts":0,"services":[]}]})");
  CHECK(plugin_list_text(answer->getArray("plugins"), kUnlimitedWidth) ==
        R"(Plugin             Version  State    PID  Restarts  Services    Reason
hawser.monitoring  1.0.0    ready    42   0         monitoring  N/A
acme.x             N/A      stopped  N/A  0         N/A         plugin refused by its host (Details:plugin.so: no symbol)
)");
  CHECK(plugin_list_text(json::make_array(), kUnlimitedWidth) == "No plugins.\n");
  CHECK(plugin_text(
            parse(R"({"id":"a.b","state":"ready","services":["x","y"],"limits_asked":{"threads":4},"reason":null,
            "metrics":[{"name":"tank.depth","kind":"gauge","unit":"m","value":2.5,"attributes":{"tank":"left","b":"c"}},
                       {"name":"fills","kind":"counter","unit":"","value":7,"attributes":{}}]})")) ==
        R"(Plugin             : a.b
State              : ready
Services           : x, y
Limits asked       : threads 4
Figure             : tank.depth{b=c,tank=left} 2.5 m
Figure             : fills 7
Reason             : N/A
)");
}
