#include "core/host/private_state.hpp"

#include <cmath>

#include "core/base/loop.hpp"
#include "core/host/content_sink.hpp"
#include "core/host/own_metrics.hpp"
#include "core/host/text_sink.hpp"
#include "tests/catch.hpp"
#include "tests/test_folder.hpp"

using namespace hawser;
using namespace hawser::host;
using namespace std::chrono_literals;

namespace {

// A private state whose service thread is the test.
struct Rig {
  explicit Rig(const std::filesystem::path& file)
      : state(file, {[this](PrivateState::Task task) { return loop.post(std::move(task)); },
                     [](const PrivateState::Task& task) { task(); },
                     [this](const std::string& problem) { problems.push_back(problem); }, [this] { ++idles; }}) {
    loaded = state.load();
  }
  hws_status put(std::vector<std::pair<std::string, std::optional<std::string>>> changes) {
    std::vector<hws_kv> pairs;
    std::vector<hws_str> removed;
    for (const auto& [key, value] : changes) {
      if (value) pairs.push_back({borrow(key), value->empty() ? hws_str{nullptr, 0} : borrow(*value)});
      if (!value) removed.push_back(borrow(key));
    }
    const auto note = [](void* user, hws_status status) { static_cast<Rig*>(user)->done.push_back(status); };
    return state.change(pairs.data(), pairs.size(), {removed.data(), removed.size()}, note, this);
  }
  std::string get(const std::string& key) const {
    ContentSink sink(kStateValueBytesMax);
    const hws_status status = state.get(key, sink.sink());
    return status == HWS_OK ? sink.content() : "status " + std::to_string(status);
  }
  void wait() {
    const auto end = Clock::now() + 20s;
    while (!state.idle() && Clock::now() < end) loop.turn(Clock::now() + 50ms);
    REQUIRE(state.idle());
  }

  Loop loop;
  std::vector<hws_status> done;
  std::vector<std::string> problems;
  int idles = 0;
  Status loaded = ok();
  PrivateState state;
};

constexpr const char* kNotFound = "status -10";

}  // namespace

TEST_CASE("[sdk-7] what was put is seen at once, told when it is on disk, and there after a restart") {
  const TestFolder folder;
  const auto file = folder.path() / "state";
  {
    Rig rig(file);
    CHECK(rig.get("a") == kNotFound);
    REQUIRE(rig.put({{"a", "1"}, {"b", std::string("\0\n", 2)}}) == HWS_OK);
    REQUIRE(rig.put({{"c", ""}}) == HWS_OK);
    REQUIRE(rig.put({{"a", std::nullopt}, {"none", std::nullopt}}) == HWS_OK);
    CHECK(rig.get("a") == kNotFound);
    CHECK(rig.get("c").empty());
    CHECK(rig.done.empty());
    rig.wait();
    CHECK(rig.done == std::vector<hws_status>{HWS_OK, HWS_OK, HWS_OK});
    CHECK(rig.idles == 1);
  }
  Rig again(file);
  REQUIRE(again.loaded);
  CHECK(again.get("a") == kNotFound);
  CHECK(again.get("b") == std::string("\0\n", 2));
  CHECK(again.get("c").empty());
}

TEST_CASE("[sdk-7] what cannot be written has not happened, nor what waited with it") {
  const TestFolder folder;
  std::filesystem::create_directory(folder.path() / "inside");
  Rig rig(folder.path() / "inside" / "state");
  REQUIRE(rig.put({{"a", "old"}}) == HWS_OK);
  rig.wait();
  std::filesystem::remove_all(folder.path() / "inside");
  REQUIRE(rig.put({{"a", "new"}}) == HWS_OK);
  REQUIRE(rig.put({{"b", "waits"}}) == HWS_OK);
  rig.wait();
  CHECK(rig.done == std::vector<hws_status>{HWS_OK, HWS_E_FAIL, HWS_E_FAIL});
  CHECK(rig.get("a") == "old");
  CHECK(rig.get("b") == kNotFound);
  CHECK(rig.problems.size() == 1);
  std::filesystem::create_directory(folder.path() / "inside");
  REQUIRE(rig.put({{"b", "now"}}) == HWS_OK);
  rig.wait();
  CHECK(rig.done.back() == HWS_OK);
}

TEST_CASE("the private state has its limits, and a refused change changes nothing") {
  const TestFolder folder;
  Rig rig(folder.path() / "state");
  const std::string longest(kStateValueBytesMax, 'v');
  CHECK(rig.put({{"", "x"}}) == HWS_E_INVALID);
  CHECK(rig.put({{std::string(129, 'k'), "x"}}) == HWS_E_INVALID);
  CHECK(rig.put({{"a", longest + "v"}}) == HWS_E_INVALID);
  CHECK(rig.put({{"a", "1"}, {"a", "2"}}) == HWS_E_INVALID);
  CHECK(rig.put({{"a", "1"}, {"a", std::nullopt}}) == HWS_E_INVALID);
  CHECK(rig.put({{"", std::nullopt}}) == HWS_E_INVALID);
  CHECK(rig.put({}) == HWS_E_INVALID);
  CHECK(rig.put({{"a", longest}, {"b", longest}, {"c", longest}, {"d", longest}}) == HWS_E_NOMEM);
  CHECK(rig.get("a") == kNotFound);
  REQUIRE(rig.put({{"a", longest}, {"b", longest}, {"c", longest}}) == HWS_OK);
  std::size_t taken = 0;
  while (rig.put({{"k", std::to_string(taken)}}) == HWS_OK) ++taken;
  CHECK(taken == kStatePutsMax);
  CHECK(rig.put({{"k", "x"}}) == HWS_E_AGAIN);
  rig.wait();
  CHECK(rig.done.size() == taken + 1);
  CHECK(rig.get("k") == std::to_string(taken - 1));
}

TEST_CASE("each key with a prefix is visited in order, also when the visit puts") {
  const TestFolder folder;
  Rig rig(folder.path() / "state");
  REQUIRE(rig.put({{"b/2", "x"}, {"b/1", "x"}, {"a", "x"}, {"c", "x"}}) == HWS_OK);
  struct Visit {
    Rig& rig;
    std::string keys{};
  } visit{rig};
  const auto fn = [](void* user, hws_str key, hws_str) -> hws_status {
    auto& self = *static_cast<Visit*>(user);
    self.keys += std::string(view(key)) + " ";
    return self.rig.put({{"b/3", "x"}});
  };
  CHECK(rig.state.each("b/", fn, &visit) == HWS_OK);
  CHECK(visit.keys == "b/1 b/2 ");
  const auto stop_at_once = [](void*, hws_str, hws_str) -> hws_status { return HWS_E_CLOSED; };
  CHECK(rig.state.each("", stop_at_once, nullptr) == HWS_E_CLOSED);
}

TEST_CASE("a state file that is cut or changed at any byte is refused") {
  const std::string bytes = to_bytes({{"key", "value"}, {"other", ""}});
  REQUIRE(read_state(bytes));
  for (std::size_t at = 0; at < bytes.size(); ++at) {
    CHECK_FALSE(read_state(bytes.substr(0, at)));
    std::string changed = bytes;
    changed[at] = static_cast<char>(changed[at] ^ 4);
    CHECK_FALSE(read_state(changed));
  }
}

TEST_CASE(
    "[sdk-7] figures are told at most once in five seconds, the newest value of each, and only within the rules") {
  Loop loop;
  CoreLink link([] { return true; });
  OwnMetrics metrics(loop, link);
  const std::string name = "depth", unit = "m", key = "tank", left = "left", bad = "Depth", control = "a\x1b";
  const hws_kv attribute{borrow(key), borrow(left)};
  CHECK(metrics.set(HWS_GAUGE, borrow(bad), borrow(unit), 1, nullptr, 0) == HWS_E_INVALID);
  CHECK(metrics.set(HWS_GAUGE, borrow(name), borrow(control), 1, nullptr, 0) == HWS_E_INVALID);
  CHECK(metrics.set(HWS_GAUGE, borrow(name), borrow(unit), std::nan(""), nullptr, 0) == HWS_E_INVALID);
  CHECK(metrics.set(HWS_COUNTER, borrow(name), borrow(unit), -1, nullptr, 0) == HWS_E_INVALID);
  CHECK(metrics.set(7, borrow(name), borrow(unit), 1, nullptr, 0) == HWS_E_INVALID);
  CHECK(metrics.set(HWS_GAUGE, borrow(name), borrow(unit), 1, nullptr, 1) == HWS_E_INVALID);
  for (double value : {1.0, 2.0})
    CHECK(metrics.set(HWS_GAUGE, borrow(name), borrow(unit), value, &attribute, 1) == HWS_OK);
  loop.turn(Clock::now() + 10ms);
  const auto told = link.take();
  REQUIRE(told);
  CHECK(json::to_text(told) == R"({"type":"metrics","metrics":[{"name":"depth","kind":"gauge","unit":"m","value":2,)"
                               R"("attributes":{"tank":"left"}}]})");
  CHECK(metrics.set(HWS_GAUGE, borrow(name), borrow(unit), 3, &attribute, 1) == HWS_OK);
  loop.turn(Clock::now() + 10ms);
  CHECK_FALSE(link.take());
  int others = 0;
  for (int i = 0; i < 100; ++i) {
    const std::string other = "n" + std::to_string(i);
    others += metrics.set(HWS_GAUGE, borrow(other), borrow(unit), 1, nullptr, 0) == HWS_OK;
  }
  CHECK(others == kMetricsMax - 1);
}

TEST_CASE("[sdk-10] a copy of the private state comes back for the version that left it, and for no other") {
  const TestFolder folder;
  const auto file = folder.path() / "state", copy = folder.path() / "copy";
  REQUIRE(keep_state(copy, "1.0.0", {{"lives", "9"}}));
  REQUIRE(save_state(file, {{"lives", "0"}, {"new", "x"}}));
  std::string remark;
  CHECK_FALSE(restore_state(copy, "1.1.0", file).value());
  CHECK(load_state(file, remark)->at("lives") == "0");
  CHECK(restore_state(copy, "1.0.0", file).value());
  CHECK(*load_state(file, remark) == StateEntries{{"lives", "9"}});
  CHECK_FALSE(restore_state(folder.path() / "none", "1.0.0", file).value());
  folder.write("copy", "{\"version\":\"1.0.0\"}\nrubbish");
  CHECK_FALSE(restore_state(copy, "1.0.0", file));
  CHECK(load_state(file, remark)->at("lives") == "9");
}
