#include <hawser/plugin.hpp>
#include <stdexcept>
#include <thread>

#include "sdk/testing/fake_host.hpp"
#include "tests/catch.hpp"

namespace hawser::sdk::testing {
namespace {

// A plugin that keeps state, hands it over, and does what the test at hand told it to.
struct Keeper {
  static constexpr const char* kId = "test.keeper";
  static constexpr const char* kVersion = "1.0.0";
  static constexpr std::uint32_t kHandoverFormat = 3;
  static inline std::function<void(Context&)> on_start;
  explicit Keeper(Context& host) : context(host) {}
  ConfigAnswer configure(std::string_view, bool) {
    if (!loaded.empty()) context.info("configured after " + loaded);
    return {};
  }
  void start() { on_start(context); }
  std::string save() { return "what the next one needs"; }
  void load(std::uint32_t format, std::string_view saved) {
    if (format > kHandoverFormat) throw Error(HWS_E_INVALID, "from a later version");
    loaded = saved;
  }
  Context& context;
  std::string loaded;
};

using Disk = std::map<std::string, std::string>;

struct Started {
  FakeHost host;
  Context* context = nullptr;
  explicit Started(Disk state = {}) {
    Keeper::on_start = [this](Context& given) { context = &given; };
    host.state = std::move(state);
    REQUIRE(host.load(Binding<Keeper>::table));
    REQUIRE(host.start() == HWS_OK);
  }
};

TEST_CASE("[sdk-7] private state is seen at once, written a little later, and there for the next instance") {
  Disk disk;
  std::string seen;
  {
    Started keeper(Disk{{"old", "value"}});
    State& state = keeper.context->state();
    CHECK(state.get("old").value() == "value");
    CHECK_FALSE(state.get("new").has_value());
    state.put("new", "", [&](bool written) { seen += written ? "written " : "lost "; });
    state.remove("old");
    CHECK(state.get("new").value().empty());
    state.put("nothing", std::string_view());  // {NULL, 0} is the empty text here, too
    CHECK(state.get("nothing").value().empty());
    state.remove("nothing");
    CHECK(seen.empty());
    keeper.host.settle_down();
    CHECK(seen == "written ");
    state.put("late", "x");
    keeper.host.destroy();
    disk = keeper.host.state;
  }
  CHECK(disk == Disk{{"new", ""}});
}

TEST_CASE("[sdk-7] state that cannot be written has not happened, nor what came after it") {
  Started keeper(Disk{{"a", "old"}});
  State& state = keeper.context->state();
  std::string seen;
  const auto note = [&](bool written) { seen += written ? "written " : "lost "; };
  keeper.host.disk_full = true;
  state.put("a", "new", note);
  state.put("b", "new", note);
  keeper.host.settle_down();
  CHECK(seen == "lost lost ");
  CHECK(state.get("a").value() == "old");
  CHECK_FALSE(state.get("b").has_value());
  keeper.host.disk_full = false;
  state.put("b", "newer", note);
  keeper.host.settle_down();
  CHECK(seen == "lost lost written ");
  CHECK(keeper.host.state.at("b") == "newer");
}

TEST_CASE("several changes are one, keys are visited in order, and a throw of the visit comes back") {
  Started keeper(Disk{{"c", "3"}});
  State& state = keeper.context->state();
  const std::vector<State::Change> changes = {{"b/2", "x"}, {"b/1", "y"}, {"c", std::nullopt}};
  state.put(changes);
  std::string seen;
  state.each(
      "b/", [&](std::string_view key, std::string_view value) { seen += std::string(key) + std::string(value) + " "; });
  CHECK(seen == "b/1y b/2x ");
  CHECK_FALSE(state.get("c").has_value());
  CHECK_THROWS_AS(state.each("", [](auto, auto) { throw std::runtime_error("enough"); }), std::runtime_error);
  CHECK_THROWS_AS(state.put("", "x"), Error);
  CHECK_THROWS_AS(state.put("big", std::string(64 * 1024 + 1, 'x')), Error);
}

TEST_CASE("[sdk-7] the plugin's own figures are recorded by name and attributes") {
  Started keeper;
  keeper.context->gauge("tank.depth", 1.5, "m", {{"tank", "left"}});
  keeper.context->gauge("tank.depth", 2.5, "m", {{"tank", "left"}});
  std::thread([&] { keeper.context->counter("tank.fills", 7); }).join();
  CHECK(keeper.host.figures.size() == 2);
  CHECK(keeper.host.figures.at("tank.depth{tank=\"left\"}").value == 2.5);
  CHECK(keeper.host.figures.at("tank.fills").kind == HWS_COUNTER);
  CHECK_THROWS_AS(keeper.context->gauge("Not A Name", 1), Error);
  CHECK_THROWS_AS(keeper.context->counter("tank.fills", -1), Error);
}

TEST_CASE("a host without state and figures is found out: the first is an error, the second is nothing") {
  Started keeper;
  keeper.host.has_state = keeper.host.has_metrics = false;
  CHECK_THROWS_AS(keeper.context->state(), Error);
  keeper.context->gauge("tank.depth", 1);
  CHECK(keeper.host.figures.empty());
}

TEST_CASE("[sdk-7] what one version saves the next one loads before its configuration, or refuses") {
  std::optional<Handover> saved;
  {
    Started keeper;
    keeper.host.stop();
    saved = keeper.host.save();
  }
  REQUIRE(saved);
  CHECK(saved->format == 3);
  Keeper::on_start = [](Context&) {};
  FakeHost next;
  next.handover = saved;
  REQUIRE(next.load(Binding<Keeper>::table));
  REQUIRE(next.start() == HWS_OK);
  CHECK(next.logged("configured after what the next one needs"));
  FakeHost older;
  older.handover = Handover{4, "x"};
  REQUIRE(older.load(Binding<Keeper>::table));
  CHECK(older.start() == HWS_E_INVALID);
  CHECK(older.refusal == "from a later version");
}

// Each function of the host that belongs to the service thread, from another one.
TEST_CASE("[sdk-6] the fake host refuses another thread wherever the real one does") {
  std::map<std::string, hws_status> got;
  Started keeper;
  Subconnection* cloud = nullptr;
  Keeper::on_start = [&](Context& context) { cloud = &context.open("keeper", "test.keeper.v1", {}); };
  FakeHost host;
  REQUIRE(host.load(Binding<Keeper>::table));
  REQUIRE(host.start() == HWS_OK);
  State& state = keeper.context->state();
  const auto status_of = [](const std::function<void()>& call) -> hws_status {
    try {
      call();
    } catch (const Error& error) {
      return error.status();
    }
    return HWS_OK;
  };
  std::thread([&] {
    Context& context = *keeper.context;
    got["hws_host.timer"] = status_of([&] { context.after(Milliseconds(1), [] {}); });
    got["hws_host.watch"] = status_of([&] { context.watch(0, [] {}); });
    got["hws_host_subconn.open"] = status_of([&] { context.open("other", "test.other.v1", {}); });
    got["hws_host_subconn.settle"] = status_of([&] { cloud->settle(1, Verdict::taken()); });
    got["hws_host_action.run"] = status_of([&] { context.run_action("reload", [](const ActionResult&) {}); });
    got["hws_host_cloud.reached"] = status_of([&] { context.cloud_reached(Milliseconds(1), [](bool, auto) {}); });
    got["hws_host_state.get"] = status_of([&] { (void)state.get("key"); });
    got["hws_host_state.each"] = status_of([&] { state.each("", [](auto, auto) {}); });
    got["hws_host_state.change"] = status_of([&] { state.put("key", "value"); });
  }).join();
  CHECK(got.size() == 9);
  for (const auto& [function, status] : got) {
    INFO(function);
    CHECK(status == HWS_E_THREAD);
  }
  CHECK(keeper.host.timers() + keeper.host.watches() == 0);
  CHECK_FALSE(state.get("key").has_value());
}

}  // namespace
}  // namespace hawser::sdk::testing
