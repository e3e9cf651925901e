// Calls every function of the host that belongs to the service thread from another one, and tells what came of it.
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "hawser/plugin.h"

namespace {

const hws_host* host = nullptr;

struct WrongThread {
  hws_ctx* ctx = nullptr;
  const hws_host_subconn* subconn = nullptr;
  const hws_host_state* state = nullptr;
  hws_subconn *service = nullptr, *second = nullptr;
  std::uint64_t timer = 0;
  int ends[2] = {-1, -1}, others[2] = {-1, -1};
  std::string config;
};

hws_str str(const std::string& text) { return {text.data(), text.size()}; }

void say(const WrongThread& self, const std::string& message) {
  host->log(self.ctx, HWS_LOG_INFO, str(message), nullptr, 0);
}

template <typename Table>
const Table* extension(const WrongThread& self, const char* id) {
  return static_cast<const Table*>(host->extension(self.ctx, id));
}

void never(void*) { std::abort(); }
void never_status(void* self, hws_status) { never(self); }

hws_status open(WrongThread& self, hws_subconn** out) {
  hws_subconn_params params{};
  params.size = sizeof params;
  params.service = "probe";
  params.protocol = "acme.probe.v1";
  return self.subconn->open(self.ctx, &params, nullptr, &self, out);
}

using Outcome = std::pair<const char*, hws_status>;

std::vector<Outcome> call_all(WrongThread& self) {
  const auto* action = extension<hws_host_action>(self, HWS_EXT_ACTION);
  const auto* cloud = extension<hws_host_cloud>(self, HWS_EXT_CLOUD);
  const hws_kv change{str("key"), str("value")};
  std::string value;
  const hws_sink sink{&value, [](void*, const void*, size_t) -> hws_status { return HWS_OK; }};
  return {
      {"hws_host.timer", host->timer(self.ctx, 1, 0, never, nullptr, nullptr)},
      {"hws_host.timer_cancel", host->timer_cancel(self.ctx, self.timer)},
      {"hws_host.watch", host->watch(self.ctx, self.others[0], never, nullptr)},
      {"hws_host.unwatch", host->unwatch(self.ctx, self.ends[0])},
      {"hws_host_subconn.open", open(self, &self.second)},
      {"hws_host_subconn.settle", self.subconn->settle(self.service, 1, HWS_OK, {nullptr, 0})},
      {"hws_host_action.run",
       action->run(
           self.ctx, str("allowed"), [](void* of, std::int32_t, hws_str, hws_str) { never(of); }, nullptr)},
      {"hws_host_cloud.reached", cloud->reached(
                                     self.ctx, 1, [](void* of, hws_status, hws_str) { never(of); }, nullptr)},
      {"hws_host_state.get", self.state->get(self.ctx, str("kept"), &sink)},
      {"hws_host_state.each", self.state->each(
                                  self.ctx, {nullptr, 0},
                                  [](void* of, hws_str, hws_str) -> hws_status { return never(of), HWS_OK; }, nullptr)},
      {"hws_host_state.put", self.state->put(self.ctx, &change, 1, never_status, nullptr)},
      {"hws_host_state.change", self.state->change(self.ctx, &change, 1, nullptr, 0, never_status, nullptr)},
  };
}

// What belongs to any thread works there.
void call_what_may_be(WrongThread& self) {
  const auto* metrics = extension<hws_host_metrics>(self, HWS_EXT_METRICS);
  host->error(self.ctx, HWS_E_FAIL, str("of another thread"));
  say(self, "from another thread: metric " +
                std::to_string(metrics->set(self.ctx, HWS_GAUGE, str("depth"), str("m"), 3, nullptr, 0)));
  host->post(
      self.ctx, [](void* of) { say(*static_cast<WrongThread*>(of), "posted from another thread"); }, &self);
}

hws_status create(hws_ctx* ctx, void** made) {
  auto* self = new WrongThread;
  self->ctx = ctx;
  *made = self;
  return HWS_OK;
}

hws_status configure(void*, std::int32_t, hws_str, const hws_sink*) { return HWS_OK; }

hws_status start(void* of) {
  auto& self = *static_cast<WrongThread*>(of);
  self.subconn = extension<hws_host_subconn>(self, HWS_EXT_SUBCONN);
  self.state = extension<hws_host_state>(self, HWS_EXT_STATE);
  if (::pipe(self.ends) != 0 || ::pipe(self.others) != 0) return HWS_E_FAIL;
  host->timer(
      self.ctx, 20, 0, [](void* arg) { say(*static_cast<WrongThread*>(arg), "the timer is there still"); }, &self,
      &self.timer);
  host->watch(
      self.ctx, self.ends[0],
      [](void* arg) {
        say(*static_cast<WrongThread*>(arg), "the watch is there still");
        host->unwatch(static_cast<WrongThread*>(arg)->ctx, static_cast<WrongThread*>(arg)->ends[0]);
      },
      &self);
  if (open(self, &self.service) != HWS_OK) return HWS_E_FAIL;
  std::vector<Outcome> outcomes;
  std::thread([&] {
    outcomes = call_all(self);
    call_what_may_be(self);
  }).join();
  for (const auto& [name, status] : outcomes) say(self, std::string(name) + " " + std::to_string(status));
  (void)!::write(self.ends[1], "x", 1);
  (void)!::write(self.others[1], "x", 1);
  const hws_sink nowhere{nullptr, [](void*, const void*, size_t) -> hws_status { return HWS_OK; }};
  say(self, "the key that was put: " + std::to_string(self.state->get(self.ctx, str("key"), &nowhere)));
  say(self, self.second ? "a second handle" : "no second handle");
  host->health(self.ctx, HWS_READY, {nullptr, 0});
  return HWS_OK;
}

void stop(void* of, std::uint32_t) { host->health(static_cast<WrongThread*>(of)->ctx, HWS_STOPPED, {nullptr, 0}); }

constexpr hws_plugin kTable = {sizeof(hws_plugin), HWS_ABI_MINOR, 0,    "acme.probe", "1.2.3", create,
                               configure,          start,         stop, nullptr,      nullptr};

}  // namespace

extern "C" const hws_plugin* hawser_plugin_v1(const hws_host* from) {
  host = from;
  return &kTable;
}
