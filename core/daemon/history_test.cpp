#include "core/daemon/history.hpp"

#include <sys/resource.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "core/base/files.hpp"
#include "tests/catch.hpp"
#include "tests/test_folder.hpp"

using namespace hawser;
using namespace hawser::daemon;

namespace {

std::vector<json::Object> events_of(const History& history, std::size_t limit = History::kKeptMax) {
  std::vector<json::Object> events;
  const auto array = json::array_member(history.last(limit), "events").value();
  for (std::size_t i = 0; i < array->size(); ++i) events.push_back(*json::object_at(array, i));
  return events;
}

std::string last_detail(const History& history) { return json::text_or(events_of(history, 1).at(0), "detail"); }

}  // namespace

TEST_CASE("[state-2] history keeps at least 200 events with time, reason and detail over a restart") {
  TestFolder folder;
  {
    History history(folder.path(), {});
    CHECK(last_detail(history).find("nothing is known of an earlier run") != std::string::npos);
    for (int i = 0; i < 300; ++i) history.add({"down", "", "hang_up", "number " + std::to_string(i)});
    history.add({"agent", "", "stopped", "SIGTERM"});
  }
  const History history(folder.path(), {});
  const auto events = events_of(history);
  REQUIRE(events.size() == 303);
  CHECK(json::text_or(events[0], "kind") == "agent");
  CHECK(json::text_or(events[300], "detail") == "number 299");
  CHECK(json::text_or(events[300], "reason") == "hang_up");
  CHECK(json::text_or(events[300], "at").size() == 24);
  CHECK(json::integer_or(events[300], "uptime_ms", -1) > 0);
  CHECK(events[300]->isNull("service"));
  CHECK(last_detail(history).find("the last run was stopped") != std::string::npos);
  const auto two = events_of(history, 2);
  REQUIRE(two.size() == 2);
  CHECK(json::text_or(two[0], "reason") == "stopped");
}

TEST_CASE("[state-2] the start says when the last run ended without a stop") {
  TestFolder folder;
  { History history(folder.path(), {}); }
  const History history(folder.path(), {});
  CHECK(last_detail(history).find("ended without a stop") != std::string::npos);
}

TEST_CASE("[state-2] a run that left its connection without a word is told as a loss, and no other") {
  struct Row {
    std::vector<connection::Event> events;
    const char* told;
  };
  const connection::Event up{"up", "", "", ""}, down{"down", "", "hang_up", ""}, stop{"agent", "", "stopped", "SIGTERM"};
  const std::vector<Row> rows = {{{up}, "ended without a stop"},
                                 {{up, stop}, "was stopped"},
                                 {{}, "ended without a stop"},  // an event of its last second may be lost
                                 {{up, down}, nullptr},
                                 {{up, down, stop}, nullptr},
                                 {{down, up}, "ended without a stop"}};
  for (const Row& row : rows) {
    TestFolder folder;
    {
      History first(folder.path(), {});
      CHECK_FALSE(first.cut_off());
      for (const auto& event : row.events) first.add(event);
    }
    const History second(folder.path(), {});
    REQUIRE(second.cut_off().has_value() == (row.told != nullptr));
    if (!row.told) continue;
    CHECK(second.cut_off()->kind == "down");
    CHECK(second.cut_off()->reason == "agent_restarted");
    CHECK(second.cut_off()->detail.find(row.told) != std::string::npos);
    const auto last_two = events_of(second, 2);
    CHECK(json::text_or(last_two[0], "reason") == "agent_restarted");
    CHECK(json::text_or(last_two[1], "reason") == "started");
  }
}

TEST_CASE("[state-2] an event has no time while the clock is not trusted") {
  TestFolder folder;
  const auto now = std::chrono::system_clock::now();
  History history(folder.path(), now + std::chrono::hours(1));
  CHECK(events_of(history).at(0)->isNull("at"));
  history.set_validity_floor(now - std::chrono::hours(1));
  history.add({"up", "", "", ""});
  CHECK_FALSE(events_of(history).at(1)->isNull("at"));
}

TEST_CASE("[state-2] a line that a power cut tore is cut off, and what comes after it is kept") {
  TestFolder folder;
  { History(folder.path(), {}).add({"up", "", "", "before"}); }
  std::ofstream(folder.path() / "history.jsonl", std::ios::app) << R"({"at":null,"uptime_ms":1,"kind":"do)";
  { History(folder.path(), {}).add({"up", "", "", "after"}); }
  const History history(folder.path(), {});
  const auto events = events_of(history);
  REQUIRE(events.size() == 7);  // with the end of each run, of which none said a word
  CHECK(json::text_or(events[1], "detail") == "before");
  CHECK(json::text_or(events[4], "detail") == "after");
  CHECK_FALSE(std::filesystem::exists(folder.path() / "history.jsonl.broken"));
}

TEST_CASE("[state-2] a broken history is set aside, and what can be read of it goes on") {
  TestFolder folder;
  { History(folder.path(), {}).add({"up", "", "", "before"}); }
  SECTION("garbage in the middle") {
    std::ofstream(folder.path() / "history.jsonl", std::ios::app) << std::string("\0\xff garbage\n[]\n", 14);
    { const History history(folder.path(), {}); }
    CHECK(std::filesystem::exists(folder.path() / "history.jsonl.broken"));
    CHECK(json::text_or(events_of(History(folder.path(), {})).at(1), "detail") == "before");
  }
  SECTION("a folder in its place") {
    std::filesystem::remove(folder.path() / "history.jsonl");
    std::filesystem::create_directory(folder.path() / "history.jsonl");
    { const History history(folder.path(), {}); }
    CHECK(std::filesystem::is_directory(folder.path() / "history.jsonl.broken"));
    CHECK(events_of(History(folder.path(), {})).size() == 3);
  }
}

TEST_CASE("[state-2] the history is bounded in memory and on disk, whatever is told to it") {
  TestFolder folder;
  const std::string ugly(5000, '\x01');
  for (int round = 0; round < 3; ++round) {
    History history(folder.path(), {});
    for (std::size_t i = 0; i < 2 * History::kKeptMax; ++i) {
      history.add({"service_state", ugly, ugly, ugly});
      if (i % 50 == 49) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    CHECK(events_of(history).size() == History::kKeptMax);
  }
  CHECK(std::filesystem::file_size(folder.path() / "history.jsonl") <= History::kFileBytesMax);
  CHECK(events_of(History(folder.path(), {})).size() >= 200);
}

TEST_CASE("[state-2] lines are appended in order and the older half goes when the file is full") {
  TestFolder folder;
  const auto file = folder.path() / "lines";
  for (int round = 0; round < 20; ++round) {
    LineFile lines(file, 1000, std::chrono::milliseconds(0));
    lines.append("line " + std::to_string(round) + std::string(90, '.'));
  }
  const auto text = read_file(file, 2000).value();
  CHECK(text.size() <= 1000);
  CHECK(text.size() >= 400);
  CHECK(text.rfind("line ", 0) == 0);
  CHECK(text.find("line 19") != std::string::npos);
}

TEST_CASE("[state-2] a clock that is seconds behind the cloud's still dates what happens") {
  TestFolder folder;
  const auto now = std::chrono::system_clock::now();
  History history(folder.path(), {});
  history.set_validity_floor(now + std::chrono::seconds(30));  // the Date of the answer that let us in
  history.add({"up", "", "", ""});
  CHECK_FALSE(events_of(history).at(1)->isNull("at"));
}

TEST_CASE("[state-2] a disk that takes half a line, and later all of them, leaves whole lines alone") {
  TestFolder folder;
  const auto file = folder.path() / "lines";
  { LineFile(file, 100'000, std::chrono::milliseconds(0)).append("first"); }
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  std::signal(SIGXFSZ, SIG_IGN);
  const rlimit full{20, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &full) == 0);
  { LineFile(file, 100'000, std::chrono::milliseconds(0)).append(std::string(50, 'x')); }
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  { LineFile(file, 100'000, std::chrono::milliseconds(0)).append("last"); }
  CHECK(read_file(file, 2000).value() == "first\nlast\n");
}
