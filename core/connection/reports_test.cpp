#include "core/connection/reports.hpp"

#include <fstream>

#include "core/connection/commands.hpp"
#include "core/connection/validity_floor.hpp"
#include "tests/catch.hpp"
#include "tests/test_folder.hpp"

using namespace hawser;
using namespace hawser::connection;

namespace {

json::Object parsed(const std::string& text) { return *json::parse_object(text); }
json::Array events_of(const json::Object& report) { return *json::array_member(report, "events"); }
void push(Reports& reports, int count) {
  for (int i = 0; i < count; ++i) reports.push({"plugin_state", "", "", std::to_string(i)}, true);
}

}  // namespace

TEST_CASE("a report is repeated on each new connection until it is acknowledged") {
  Reports reports;
  CHECK_FALSE(reports.next());
  push(reports, 1);
  const auto first = parsed(reports.next()->text);
  CHECK(json::text_or(first, "type") == "report");
  CHECK_FALSE(reports.next());  // one at a time
  CHECK(reports.connection_ended());
  const auto second = parsed(reports.next()->text);
  const auto id_of = [](const json::Object& report) {
    return json::text_or(*json::object_at(events_of(report), 0), "id");
  };
  CHECK(id_of(first) == id_of(second));
  CHECK_FALSE(reports.acknowledged(json::text_or(first, "id")));
  CHECK(reports.acknowledged(json::text_or(second, "id")));
  CHECK_FALSE(reports.next());
  CHECK_FALSE(reports.connection_ended());
}

TEST_CASE("a report carries at most 100 events, the oldest first") {
  Reports reports;
  push(reports, 250);
  std::vector<std::size_t> sizes;
  int expected = 0;
  while (const auto report = reports.next()) {
    const auto events = events_of(parsed(report->text));
    sizes.push_back(events->size());
    for (std::size_t i = 0; i < events->size(); ++i)
      REQUIRE(json::text_or(*json::object_at(events, i), "detail") == std::to_string(expected++));
    REQUIRE(reports.acknowledged(json::text_or(parsed(report->text), "id")));
  }
  CHECK(sizes == std::vector<std::size_t>{100, 100, 50});
}

TEST_CASE("a full queue drops the oldest, counts them, and tells the cloud") {
  Reports reports;
  push(reports, 1003);
  CHECK(reports.counts().dropped == 3);
  CHECK(reports.counts().full == 1);
  const auto report = reports.next();
  CHECK(report->incomplete);
  const auto events = events_of(parsed(report->text));
  CHECK(json::text_or(*json::object_at(events, 0), "kind") == "dropped");
  CHECK(json::text_or(*json::object_at(events, 0), "reason") == "queue_full");
  CHECK(json::text_or(*json::object_at(events, 1), "detail") == "3");
  reports.acknowledged(json::text_or(parsed(report->text), "id"));
  CHECK_FALSE(reports.next()->incomplete);
  push(reports, 98);  // 901 are left, with these 999
  CHECK(reports.counts().full == 1);
  push(reports, 1);
  CHECK(reports.counts().full == 2);
}

TEST_CASE("a report stays far below the message limit whatever the details say") {
  Reports reports;
  for (int i = 0; i < 100; ++i)
    reports.push({"security", "a", std::string(400, '\x01'), std::string(100'000, '\x01')}, false);
  CHECK(reports.next()->text.size() < 256 * 1024);
}

TEST_CASE("an untrusted clock gives no time to an event") {
  Reports reports;
  reports.push({"up", "", "", ""}, false);
  reports.push({"up", "", "", ""}, true);
  const std::string text = reports.next()->text;
  CHECK(text.find(R"("at":null)") != std::string::npos);
  CHECK(text.find("Z\",\"uptime_ms\":") != std::string::npos);
}

TEST_CASE("the last 256 results of commands are kept over a restart and answer a repeated id") {
  const TestFolder folder;
  const auto file = folder.path() / "commands.json";
  std::string answer;
  {
    Commands commands(file);
    CHECK_FALSE(commands.kept("a"));
    CHECK(commands.begin("a"));
    CHECK_FALSE(commands.begin("a"));  // it is under way
    auto result = json::make_object();
    result->set("n", 7);
    answer = commands.finish("a", result).value_or("");
    CHECK(answer == R"({"type":"command_result","id":"a","ok":true,"result":{"n":7}})");
    CHECK(commands.begin("b"));
    (void)commands.finish("b", Error{"unknown_command", "no such command"});
  }
  Commands again(file);
  CHECK(again.kept("a") == answer);
  CHECK(again.kept("b")->find(R"("ok":false,"error":{"code":"unknown_command")") != std::string::npos);
  for (int i = 0; i < 255; ++i) {
    CHECK(again.begin("c" + std::to_string(i)));
    (void)again.finish("c" + std::to_string(i), json::make_object());
  }
  CHECK_FALSE(again.kept("a"));
  CHECK(again.kept("b"));
}

TEST_CASE("[conn-16] what belonged to another binding is forgotten, also over a restart, and answered to nobody") {
  const TestFolder folder;
  const auto file = folder.path() / "commands.json";
  Commands commands(file);
  CHECK(commands.begin("done"));
  (void)commands.finish("done", json::make_object());
  CHECK(commands.begin("under way"));
  commands.clear();
  CHECK_FALSE(commands.kept("done"));
  CHECK_FALSE(commands.finish("under way", json::make_object()));
  CHECK_FALSE(Commands(file).kept("done"));
}

TEST_CASE("a broken file of results is set aside, a result that is too large becomes an error") {
  const TestFolder folder;
  const auto file = folder.path() / "commands.json";
  std::ofstream(file) << "{\"results\":[";
  Commands commands(file);
  CHECK(std::filesystem::exists(folder.path() / "commands.json.broken"));
  auto large = json::make_object();
  large->set("x", std::string(200'000, 'x'));
  CHECK(commands.begin("a"));
  CHECK(commands.finish("a", large).value_or("").find("too_big") != std::string::npos);
}

TEST_CASE("the floor of the certificates rises with the cloud's dates and is kept over a restart") {
  const TestFolder folder;
  const auto file = folder.path() / "validity_floor";
  const auto later = ValidityFloor::built_at() + std::chrono::hours(48);
  {
    ValidityFloor floor(file);
    CHECK(floor.value() == ValidityFloor::built_at());
    CHECK(floor.clock_is_trusted());
    const auto ends = later + std::chrono::hours(1);  // of the server's certificate
    CHECK_FALSE(floor.learn(floor.value() - std::chrono::hours(1), ends));
    CHECK_FALSE(floor.learn(floor.value() + std::chrono::minutes(1), ends));  // too small a step to write
    CHECK_FALSE(floor.learn(ends + std::chrono::seconds(1), ends));
    CHECK(floor.value() == ValidityFloor::built_at() + std::chrono::minutes(1));
    CHECK(floor.learn(later, ends));
  }
  CHECK(ValidityFloor(file).value() == later);
  std::ofstream(file) << "nonsense";
  CHECK(ValidityFloor(file).value() == ValidityFloor::built_at());
}
