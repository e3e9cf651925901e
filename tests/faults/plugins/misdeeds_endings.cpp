// Ends the process, in every way there is.
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>

#include "rogue.hpp"

namespace rogue {
namespace {
// Never inlined and never a loop: each call takes a page of the stack.
[[gnu::noinline]] int deeper(volatile char* above, int depth) {
  volatile char page[4096];
  page[depth % 4096] = above[0];
  return page[depth % 4096] + (depth < 100'000'000 ? deeper(page, depth + 1) : 0) + page[0];
}
}  // namespace

void segfault(Rogue&) {
  volatile int* volatile nowhere = nullptr;
  *nowhere = 1;
}

void abort_it(Rogue&) { std::abort(); }

void throw_it(Rogue&) { throw std::runtime_error("thrown through the edge"); }

void exit_0(Rogue&) { std::exit(0); }

// More best-effort messages than the way to the cloud takes at once, and the end while the host sends them.
void exit_mid_message(Rogue& self) {
  static const hws_host_subconn* subconn = nullptr;
  static Rogue* rogue = nullptr;
  subconn = static_cast<const hws_host_subconn*>(self.host->extension(self.ctx, HWS_EXT_SUBCONN));
  rogue = &self;
  static hws_subconn_events events{};
  events.size = sizeof events;
  events.text = [](void*, hws_subconn* connection, hws_str) {  // the cloud says when
    const std::string message(rogue->config.value("bytes", std::size_t{50'000}), 'm');
    for (auto left = rogue->config.value("messages", 400); left > 0; --left)
      if (subconn->send(connection, message.data(), message.size(), 0) != HWS_OK) break;
    rogue->host->timer(rogue->ctx, rogue->config.value("exit_after_ms", std::uint64_t{200}), 0,
                       [](void*) { std::exit(0); }, nullptr, nullptr);
  };
  static hws_subconn_params params{};
  params.size = sizeof params;
  params.service = "rogue";
  params.protocol = "acme.rogue.v1";
  hws_subconn* connection = nullptr;
  if (subconn->open(self.ctx, &params, &events, nullptr, &connection) != HWS_OK) self.say("cannot open its subconnection");
}

void overflow(Rogue&) {
  volatile char first[1] = {};
  deeper(first, 0);
}

void illegal(Rogue&) { __builtin_trap(); }

// An exception that nobody catches, on a thread of the plugin's own.
void terminate_thread(Rogue&) {
  std::thread([] { throw std::runtime_error("thrown on a thread of the plugin's own"); }).detach();
}

}  // namespace rogue
