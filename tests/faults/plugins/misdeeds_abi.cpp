// Breaks the rules of hawser/plugin.h.
#include <unistd.h>

#include <thread>

#include "rogue.hpp"

namespace rogue {
namespace {
void do_nothing(void*) {}
void never(void*, std::int32_t, hws_str, hws_str) {}
}  // namespace

// R6: functions of the service thread, from another one. Each must answer HWS_E_THREAD.
void wrong_thread(Rogue& self) {
  std::thread([&self] {
    const auto* actions = static_cast<const hws_host_action*>(self.host->extension(self.ctx, HWS_EXT_ACTION));
    const auto* subconnections = static_cast<const hws_host_subconn*>(self.host->extension(self.ctx, HWS_EXT_SUBCONN));
    const hws_subconn_params params = {sizeof params, 0, "rogue", "acme.rogue.v1", 0, 0};
    const hws_subconn_events events = {};
    hws_subconn* opened = nullptr;
    std::uint64_t id = 0;
    const hws_status answers[] = {
        self.host->timer(self.ctx, 1, 1, do_nothing, nullptr, &id), self.host->timer_cancel(self.ctx, 1),
        self.host->watch(self.ctx, 0, do_nothing, nullptr), self.host->unwatch(self.ctx, 0),
        subconnections->open(self.ctx, &params, &events, nullptr, &opened),
        actions->run(self.ctx, str("reload"), never, nullptr)};
    int wrong = 0;
    for (const hws_status answer : answers) wrong += answer != HWS_E_THREAD;
    self.say("wrong thread: " + std::to_string(wrong) + " of 6 calls were taken");
  }).detach();
}

// Goes on calling the host from a thread while destroy() returns and the process ends.
void after_destroy(Rogue& self) {
  std::thread([host = self.host, ctx = self.ctx] {
    for (;;) {
      host->log(ctx, HWS_LOG_INFO, str("after destroy"), nullptr, 0);
      host->health(ctx, HWS_READY, str("after destroy"));
      host->post(ctx, do_nothing, nullptr);
    }
  }).detach();
}

// Pointers that are none where the header wants some.
void nulls(Rogue& self) {
  const auto* subconnections = static_cast<const hws_host_subconn*>(self.host->extension(self.ctx, HWS_EXT_SUBCONN));
  self.host->log(self.ctx, 77, {nullptr, 0}, nullptr, 3);
  self.host->health(self.ctx, 77, {nullptr, 0});
  self.host->error(self.ctx, HWS_E_FAIL, {nullptr, 0});
  const bool taken = self.host->post(self.ctx, nullptr, nullptr) == HWS_OK ||
                     self.host->timer(self.ctx, 0, 0, nullptr, nullptr, nullptr) == HWS_OK ||
                     self.host->watch(self.ctx, -1, do_nothing, nullptr) == HWS_OK ||
                     self.host->unwatch(self.ctx, 1234) == HWS_OK ||
                     self.host->timer_cancel(self.ctx, 99'999) == HWS_OK ||
                     self.host->info(self.ctx, str("device.serial"), nullptr) == HWS_OK ||
                     self.host->extension(self.ctx, nullptr) != nullptr ||
                     subconnections->open(self.ctx, nullptr, nullptr, nullptr, nullptr) == HWS_OK;
  self.say(std::string("nulls: ") + (taken ? "some were taken" : "all were refused"));
}

}  // namespace rogue
