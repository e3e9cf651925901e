// What the fake host says of a plugin that calls it wrongly, and the limits that it has in common with a real one.
#include <hawser/plugin.hpp>
#include <thread>

#include "sdk/testing/fake_host.hpp"
#include "tests/catch.hpp"

using hawser::sdk::testing::FakeHost;
using namespace std::chrono_literals;

namespace {

// Does nothing by itself; the test calls the host through it.
struct Puppet {
  const hws_host* host = nullptr;
  hws_ctx* ctx = nullptr;
};
Puppet puppet;

hws_status create(hws_ctx* ctx, void** self) {
  puppet.ctx = ctx;
  *self = &puppet;
  return HWS_OK;
}
hws_status configure(void*, std::int32_t, hws_str, const hws_sink*) { return HWS_OK; }
hws_status start(void*) { return HWS_OK; }
void stop(void*, std::uint32_t) {}
void nothing(void*) {}

const hws_plugin* entry(const hws_host* host) {
  static const hws_plugin plugin = {sizeof plugin, HWS_ABI_MINOR, 0,    "test.puppet", "1.0.0", create,
                                    configure,     start,         stop, nullptr,       nullptr};
  puppet.host = host;
  return &plugin;
}

struct Running {
  FakeHost host;
  Running() {
    REQUIRE(host.load(entry));
    REQUIRE(host.start() == HWS_OK);
  }
  hws_status timer(std::uint64_t after_ms) {
    return puppet.host->timer(puppet.ctx, after_ms, 0, nothing, nullptr, nullptr);
  }
  hws_status open(const char* service, hws_subconn** out) {
    const auto* table = static_cast<const hws_host_subconn*>(puppet.host->extension(puppet.ctx, HWS_EXT_SUBCONN));
    const hws_subconn_params params = {sizeof params, 0, service, "test.v1", 0, 0};
    hws_subconn_events events{};
    events.size = sizeof events;
    return table->open(puppet.ctx, &params, &events, nullptr, out);
  }
};

}  // namespace

TEST_CASE("[sdk-6] a SVC function that another thread calls is refused, and noted for the test") {
  Running run;
  hws_status status = HWS_OK;
  std::thread([&] { status = run.timer(1); }).join();
  CHECK(status == HWS_E_THREAD);
  CHECK(run.host.timers() == 0);
  REQUIRE(run.host.misuses.size() == 1);
  CHECK(run.host.misuses[0] == "timer() was called on a thread that is not the service thread (R6)");
  std::thread([] { puppet.host->post(puppet.ctx, nothing, nullptr); }).join();
  CHECK(run.host.misuses.size() == 1);
}

TEST_CASE("[sdk-6] a call after destroy() is noted") {
  Running run;
  run.host.destroy();
  puppet.host->log(puppet.ctx, HWS_LOG_INFO, {"late", 4}, nullptr, 0);
  REQUIRE(run.host.misuses.size() == 1);
  CHECK(run.host.misuses[0] == "log() was called after destroy() had returned");
}

TEST_CASE("[sdk-6] what a real host answers with E_INVALID the fake one does too, and says why") {
  Running run;
  hws_subconn* opened = nullptr;
  CHECK(run.timer(UINT64_MAX) == HWS_E_INVALID);
  CHECK(puppet.host->unwatch(puppet.ctx, 0) == HWS_E_INVALID);
  CHECK(puppet.host->watch(puppet.ctx, -1, nothing, nullptr) == HWS_E_INVALID);
  CHECK(run.open("orders", &opened) == HWS_OK);
  CHECK(run.open("orders", &opened) == HWS_E_INVALID);
  REQUIRE(run.host.misuses.size() == 4);
  CHECK(run.host.misuses[0] == "timer() was answered E_INVALID: more than a year");
  CHECK(run.host.misuses[3] == "open() was answered E_INVALID: the service orders is open already");
}

TEST_CASE("[sdk-7] timers, watches and posts have the limits of a real host") {
  Running run;
  for (int i = 0; i < 1024; ++i) REQUIRE(run.timer(1000) == HWS_OK);
  CHECK(run.timer(1000) == HWS_E_AGAIN);
  for (int fd = 1000; fd < 1048; ++fd) REQUIRE(puppet.host->watch(puppet.ctx, fd, nothing, nullptr) == HWS_OK);
  CHECK(puppet.host->watch(puppet.ctx, 1048, nothing, nullptr) == HWS_E_AGAIN);
  CHECK(puppet.host->watch(puppet.ctx, 1000, nothing, nullptr) == HWS_OK);
  for (int i = 0; i < 4096; ++i) REQUIRE(puppet.host->post(puppet.ctx, nothing, nullptr) == HWS_OK);
  CHECK(puppet.host->post(puppet.ctx, nothing, nullptr) == HWS_E_AGAIN);
  CHECK(run.host.misuses.empty());
}

TEST_CASE("[sdk-7] a test can deny services, and take the extension away") {
  Running run;
  hws_subconn* opened = nullptr;
  run.host.denies_services = true;
  CHECK(run.open("orders", &opened) == HWS_E_DENIED);
  run.host.has_subconnections = false;
  CHECK(puppet.host->extension(puppet.ctx, HWS_EXT_SUBCONN) == nullptr);
}

TEST_CASE("the fake host tells in words what happens, with the name of the longest callback") {
  Running run;
  std::vector<std::string> heard;
  run.host.heard = [&](std::string_view what) { heard.emplace_back(what); };
  puppet.host->health(puppet.ctx, HWS_DEGRADED, {"no orders", 9});
  puppet.host->log(puppet.ctx, HWS_LOG_WARN, {"slow", 4}, nullptr, 0);
  puppet.host->post(
      puppet.ctx, [](void*) { std::this_thread::sleep_for(30ms); }, nullptr);
  run.host.settle_down();
  CHECK(heard == std::vector<std::string>{"health degraded: no orders", "log warn: slow"});
  CHECK(run.host.longest_callback() >= 30ms);
  CHECK(run.host.longest_callback_name() == "what was posted");
}
