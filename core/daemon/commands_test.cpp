#include "core/daemon/commands.hpp"

#include "core/daemon/state_report.hpp"
#include "core/daemon/test_house.hpp"

using namespace hawser;
using namespace hawser::daemon;

TEST_CASE("[state-1] state has a member for each of the guide's 20 lines, null where nothing is known") {
  House house;
  const auto state = house.ask("state");
  REQUIRE(state);
  for (const char* key : {"cloud_connection_state",
                          "device_state",
                          "cloud_server_address",
                          "cloud_server_domain_name",
                          "cloud_connection_mode",
                          "cloud_server_authentication_port",
                          "cloud_server_connection_port",
                          "connected_at",
                          "duration_s",
                          "process_state",
                          "failure_reason",
                          "last_down_reason",
                          "last_down_at",
                          "last_report_failure_reason",
                          "last_report_failure_at",
                          "dropped_packets_after_reaching_buffer_limit",
                          "total_dropped_packets",
                          "last_report_incomplete_reason",
                          "last_report_incomplete_at",
                          "buffer_full_count",
                          "servers",
                          "next_attempt_in_s",
                          "backoff_s",
                          "serial",
                          "site",
                          "subconnections"}) {
    INFO(key);
    CHECK((*state)->has(key));
  }
  CHECK(json::text_or(*state, "cloud_connection_state") == "Unconnected");
  CHECK((*state)->isNull("connected_at"));
  CHECK(json::text_or(*state, "serial") == "TEST1");
  const auto rows = json::array_member(*state, "subconnections").value();
  REQUIRE(rows->size() == 1);
  const auto row = *json::object_at(rows, 0);
  for (const char* key : {"service",        "plugin",           "state",         "since",      "url",
                          "failure_reason", "reconnects",       "sent_messages", "sent_bytes", "queued_messages",
                          "queued_bytes",   "spooled_bytes",    "dropped",       "acked_seq",  "rtt_ms",
                          "host_pid",       "isolation",        "cpu_ms",        "pss_kib",    "restarts",
                          "quarantine",     "buffer_full_count"}) {
    INFO(key);
    CHECK(row->has(key));
  }
}

TEST_CASE("[state-1] the connection's lines come from its last snapshot") {
  House house;
  connection::Snapshot snapshot;
  snapshot.cloud_connection_state = "Established";
  snapshot.server_domain = "cloud.test";
  snapshot.connection_port = 443;
  snapshot.connected_at = std::chrono::system_clock::time_point(std::chrono::milliseconds(1'453'904'320'120));
  snapshot.connected_since = Clock::now() - std::chrono::seconds(121);
  snapshot.last_down = Error{"hang_up", "no byte for 75 s"};
  snapshot.reports_dropped = 7;
  snapshot.report_queue_full_count = 1;
  house.commands.on_snapshot(snapshot);
  const auto state = house.ask("state").value();
  CHECK(json::text_or(state, "cloud_server_domain_name") == "cloud.test");
  CHECK(json::integer_or(state, "cloud_server_connection_port", 0) == 443);
  CHECK(json::text_or(state, "connected_at") == "2016-01-27T14:18:40.120Z");
  CHECK(json::integer_or(state, "duration_s", 0) == 121);
  CHECK(json::text_or(state, "last_down_reason") == "hang_up");
  CHECK(json::text_or(state, "last_down_detail") == "no byte for 75 s");
  CHECK(json::integer_or(state, "dropped_packets_after_reaching_buffer_limit", 0) == 7);
  CHECK(json::integer_or(state, "total_dropped_packets", 0) == 7);
  CHECK(json::integer_or(state, "buffer_full_count", 0) == 1);
}

TEST_CASE(
    "[data-4] what was dropped at a queue's or a spool's limit counts as that, and all drops count in the total") {
  House house;
  house.rig.supervisor->start();
  REQUIRE(house.rig.until_state("shop", supervisor::PluginState::Ready));
  connection::Snapshot snapshot;
  snapshot.reports_dropped = 10;
  snapshot.reports_unbound = 100;
  snapshot.report_queue_full_count = 1000;
  house.commands.on_snapshot(snapshot);
  house.rig.supervisor->set_grants({json::parse_object(R"({"service":"shop","expires_in":3600})").value()}, {});
  REQUIRE(house.rig.until([&] { return house.rig.supervisor->subconnections().dropped() > 0; }));
  const auto state = house.ask("state").value();
  const auto row = *json::object_at(json::array_member(state, "subconnections").value(), 0);
  REQUIRE(json::to_text(json::object_member(row, "dropped").value()) ==
          R"({"expired":1,"queue_full":3,"spool_full":3})");
  REQUIRE(json::integer_or(row, "buffer_full_count", 0) == 1);
  CHECK(json::integer_or(state, "dropped_packets_after_reaching_buffer_limit", 0) == 3 + 3 + 10);
  CHECK(json::integer_or(state, "total_dropped_packets", 0) == 1 + 3 + 3 + 10 + 100);
  CHECK(json::integer_or(state, "buffer_full_count", 0) == 1 + 1000);
}

TEST_CASE("the list of plugins shows a refused one with its sentence beside the others") {
  House house;
  house.rig.supervisor->start();
  REQUIRE(house.rig.until_state("shop", supervisor::PluginState::Ready));
  const auto plugins = json::array_member(house.ask("plugin_list").value(), "plugins").value();
  REQUIRE(plugins->size() == 2);
  const auto broken = *json::object_at(plugins, 0), shop = *json::object_at(plugins, 1);
  CHECK(names_of(shop) == std::vector<std::string>{"id", "version", "state", "reason", "detail", "pid", "restarts",
                                                   "overrun", "refused_messages", "overruns", "services", "upgrade",
                                                   "cloud"});
  CHECK(json::text_or(broken, "state") == "refused");
  CHECK(json::text_or(broken, "detail").rfind("the manifest is missing: ", 0) == 0);
  CHECK(broken->isNull("pid"));
  CHECK(json::text_or(shop, "state") == "ready");
  CHECK(json::text_or(house.ask("plugin_show", R"({"plugin":"acme.shop"})").value(), "digest").rfind("sha256:", 0) ==
        0);
  const auto rows = json::array_member(house.ask("state").value(), "subconnections").value();
  const auto row = *json::object_at(rows, 0);
  CHECK(json::integer_or(row, "host_pid", 0) == house.rig.plugin("shop").pid().value());
  CHECK(json::integer_or(row, "pss_kib", 0) > 0);
}

TEST_CASE("commands do what they say, and what is no command or no plugin is refused with what is") {
  House house;
  REQUIRE(house.ask("reset"));
  REQUIRE(house.ask("reset", R"({"first":true})"));
  CHECK(house.connection.resets == 101);
  CHECK(house.ask("reset", R"({"first":1})").error().code == "bad_request");
  CHECK(json::text_or(house.ask("version").value(), "version") == HAWSER_VERSION);
  CHECK(house.ask("log_level", R"({"level":"loud"})").error().code == "bad_request");
  CHECK(house.ask("log_level", R"({"level":"info"})"));
  CHECK(house.ask("plugin_restart", "{}").error().code == "bad_request");
  CHECK(house.ask("plugin_restart", R"({"plugin":"acme.none"})").error().code == "not_found");
  CHECK(house.ask("plugin_show", R"({"plugin":"acme.none"})").error().code == "not_found");
  CHECK(house.ask("dance").error().code == "unknown_command");
}

TEST_CASE("[state-1] the servers stand in the order in which they are tried, each with what became of it") {
  House house;
  connection::Snapshot snapshot;
  snapshot.servers = {
      {{"leased.example", 19443, true, connection::Target::Source::Dhcp, {}}, false, Error{"dns_failed", "no"}, {}},
      {{"A.example", 443, false, connection::Target::Source::Config, {IpVersion::V6, "vrf1", "::1"}},
       true,
       {},
       Clock::now() + std::chrono::seconds(30)}};
  snapshot.clock_floor_used = true;
  snapshot.clock_ahead = std::chrono::seconds(-5);
  house.commands.on_snapshot(snapshot);
  const auto state = house.ask("state").value();
  CHECK(json::to_text(json::array_member(state, "servers").value()) ==
        R"([{"domain":"leased.example","port":19443,"role":"primary","source":"dhcp","vpn_instance":null,)"
        R"("source_ip":null,"ip_version":"any","current":false,"failure_reason":"dns_failed","failure_detail":"no",)"
        R"("retry_in_s":null},)"
        R"({"domain":"A.example","port":443,"role":"backup","source":"config","vpn_instance":"vrf1",)"
        R"("source_ip":"::1","ip_version":"6","current":true,"failure_reason":null,"failure_detail":null,)"
        R"("retry_in_s":30}])");
  CHECK(json::bool_or(state, "clock_floor_used", false));
  CHECK(json::integer_or(state, "clock_ahead_s", 0) == -5);
}

TEST_CASE("[sec-3] whoever may only look gets every display and no change") {
  House house;
  for (const char* command : {"state", "history", "plugin_list", "config_show", "version"})
    CHECK(house.ask(command, "{}", control::Access::View));
  for (const char* command : {"reset", "plugin_restart", "log_level", "config_reload", "unbind", "proof"}) {
    INFO(command);
    const auto answer = house.ask(command, "{}", control::Access::View);
    REQUIRE_FALSE(answer);
    CHECK(answer.error().code == "not_permitted");
    CHECK(answer.error().message.find("is for root and the group hawser") != std::string::npos);
  }
  CHECK(house.connection.resets == 0);
}

TEST_CASE("a proof for a server comes with what stands beside it on the wire") {
  House house;
  const auto answer = house.ask("proof", R"({"domain":"a.example","nonce":"0123456789abcdef"})");
  REQUIRE(answer);
  CHECK(json::text_or(*answer, "proof") == "proof for a.example with 0123456789abcdef");
  CHECK(json::text_or(*answer, "serial") == "TEST1");
  CHECK(json::text_or(*answer, "agent") == "hawser/" HAWSER_VERSION);
  CHECK(house.ask("proof", R"({"domain":"a.example","nonce":"short"})").error().code == "bad_request");
}

TEST_CASE("an unbinding is answered when the cloud has answered, and a code of wrong form at once") {
  House house;
  for (const char* wrong : {R"({})", R"({"code":""})", R"({"code":"ABCDEFG"})", R"({"code":"ABCDEFG1"})",
                            R"({"code":"abcdefgh"})", R"({"code":"ABCDEFGHI"})"})
    CHECK(house.ask("unbind", wrong).error().code == "bad_request");
  CHECK(house.connection.unbindings.empty());
  const auto first = house.begin("unbind", R"({"code":"ABCDEFG2"})"),
             second = house.begin("unbind", R"({"code":"ZZZZ9999"})");
  REQUIRE(house.connection.unbindings.size() == 2);
  CHECK(first->empty());
  house.commands.on_unbind_result(house.connection.unbindings[1].first, Error{"code_wrong", "no such code"});
  CHECK(first->empty());
  REQUIRE(second->size() == 1);
  CHECK(second->front().error().code == "code_wrong");
  house.commands.on_unbind_result(house.connection.unbindings[0].first, ok());
  house.commands.on_unbind_result(house.connection.unbindings[0].first, ok());
  REQUIRE(first->size() == 1);
  CHECK(first->front());
}

TEST_CASE("config show has no secret in it") {
  House house;
  const std::string text = json::to_text(house.ask("config_show").value());
  INFO(text);
  CHECK(text.find("SECRETtok123") == std::string::npos);
  CHECK(text.find(R"("interval":5)") != std::string::npos);
  CHECK(text.find(R"x("api_token":"(removed)")x") != std::string::npos);
}

TEST_CASE("the cloud may ask for the state and restart a plugin, and nothing else") {
  House house;
  house.commands.on_command("1", "state", nullptr);
  house.commands.on_command("2", "config_show", json::make_object());
  house.commands.on_command("3", "plugin_restart", json::parse_object(R"({"plugin":"acme.shop"})").value());
  REQUIRE(house.rig.until([&] { return house.connection.results.size() == 3; }));  // its files are read first
  CHECK(json::text_or(house.connection.results[0].second.value(), "serial") == "TEST1");
  CHECK(house.connection.results[1].second.error().code == "unknown_command");
  CHECK(house.connection.results[2].second);
  CHECK(house.connection.results[2].first == "3");
}
