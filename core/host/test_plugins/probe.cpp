// A plugin that does on request what good and bad plugins do; built against the SDK's header alone.
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>
#include <thread>

#include "hawser/plugin.h"

namespace {

const hws_host* host = nullptr;

struct Probe {
  hws_ctx* ctx = nullptr;
  std::string config;
  const hws_host_subconn* subconn = nullptr;
  hws_subconn* connection = nullptr;
  std::uint64_t pending = 0;
  bool failed_once = false;
  int flood_left = 0, flood_sent = 0, refusals = 0;
};

hws_str str(const std::string& text) { return {text.data(), text.size()}; }
std::string text(hws_str words) { return words.len ? std::string(words.ptr, words.len) : std::string(); }

void say(Probe& probe, const std::string& message) { host->log(probe.ctx, HWS_LOG_INFO, str(message), nullptr, 0); }

bool wants(const Probe& probe, const char* what) { return probe.config.find(what) != std::string::npos; }

void opened(void* user, hws_subconn*, hws_str about) { say(*static_cast<Probe*>(user), "opened " + text(about)); }

void flood(Probe& probe) {
  while (probe.flood_left > 0) {
    std::string payload = std::to_string(probe.flood_sent) + " ";
    payload.resize(512, '.');
    if (probe.subconn->send_durable(probe.connection, payload.data(), payload.size(), 0, nullptr) != HWS_OK) {
      ++probe.refusals;
      return;  // writable() goes on
    }
    ++probe.flood_sent;
    --probe.flood_left;
  }
  say(probe, "flood done " + std::string(probe.refusals > 0 ? "with pauses" : "at once"));
}

void writable(void* user, hws_subconn*) { flood(*static_cast<Probe*>(user)); }

// {"type":"do","send":"<payload>"} and the like, read by looking for words: this is a test, not a parser.
void on_text(void* user, hws_subconn* connection, hws_str json) {
  auto& probe = *static_cast<Probe*>(user);
  const std::string words = text(json);
  say(probe, "text " + words);
  const auto is = [&](const char* what) { return words.find(what) != std::string::npos; };
  if (is("flood")) {
    probe.flood_left = 20'000;
    flood(probe);
  } else if (is("send_ten")) {
    for (int i = 0; i < 10; ++i) {
      const std::string payload = "message " + std::to_string(i);
      probe.subconn->send_durable(connection, payload.data(), payload.size(), 0, nullptr);
    }
  } else if (is("send_compressed")) {
    const std::string payload(5000, 'z');
    probe.subconn->send_durable(connection, payload.data(), payload.size(), HWS_COMPRESS, nullptr);
  } else if (is("send_text")) {
    probe.subconn->send_text(connection, str(R"({"type":"hello_from_probe"})"));
  } else if (is("send_best_effort")) {
    probe.subconn->send(connection, "quick", 5, 0);
  } else if (is("hang")) {
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
  }
}

void message(void* user, hws_subconn*, const void* data, size_t len) {
  say(*static_cast<Probe*>(user), "message " + std::string(static_cast<const char*>(data), len));
}

hws_status durable(void* user, hws_subconn*, hws_str, uint64_t seq, const void* data, size_t len, const hws_sink* why) {
  auto& probe = *static_cast<Probe*>(user);
  const std::string payload(static_cast<const char*>(data), len);
  say(probe, "durable " + std::to_string(seq) + " " + payload.substr(0, 40));
  if (payload == "refuse") {
    why->write(why->to, "no thanks", 9);
    return HWS_E_INVALID;
  }
  if (payload == "again" && !probe.failed_once) {
    probe.failed_once = true;
    return HWS_E_FAIL;
  }
  if (payload != "pending") return HWS_OK;
  probe.pending = seq;
  host->timer(
      probe.ctx, 20, 0,
      [](void* of) {
        auto& self = *static_cast<Probe*>(of);
        self.subconn->settle(self.connection, self.pending, HWS_OK, {nullptr, 0});
      },
      &probe, nullptr);
  return HWS_PENDING;
}

void acked(void* user, hws_subconn*, uint64_t seq) { say(*static_cast<Probe*>(user), "acked " + std::to_string(seq)); }

void nacked(void* user, hws_subconn*, uint64_t seq, hws_str code, hws_str) {
  say(*static_cast<Probe*>(user), "nacked " + std::to_string(seq) + " " + text(code));
}

void closed(void* user, hws_subconn*, hws_str reason, hws_str, uint32_t) {
  say(*static_cast<Probe*>(user), "closed " + text(reason));
}

void open_service(Probe& probe) {
  probe.subconn = static_cast<const hws_host_subconn*>(host->extension(probe.ctx, HWS_EXT_SUBCONN));
  hws_subconn_params params{};
  params.size = sizeof params;
  params.service = "probe";
  params.protocol = "acme.probe.v1";
  params.outbox_bytes = 1024 * 1024;
  hws_subconn_events events{};
  events.size = sizeof events;
  events.opened = opened;
  events.text = on_text;
  events.message = message;
  events.durable = durable;
  events.acked = acked;
  events.nacked = nacked;
  events.writable = writable;
  events.closed = closed;
  const hws_status status = probe.subconn->open(probe.ctx, &params, &events, &probe, &probe.connection);
  if (status != HWS_OK) say(probe, "open answered " + std::to_string(status));
}

hws_status create(hws_ctx* ctx, void** self) {
  auto* probe = new Probe;
  probe->ctx = ctx;
  *self = probe;
  return HWS_OK;
}

hws_status configure(void* self, int32_t mode, hws_str json, const hws_sink* why) {
  auto& probe = *static_cast<Probe*>(self);
  const std::string config = text(json);
  if (config.find("refuse_me") != std::string::npos) {
    const char words[] = "interval: 7 is no colour";
    why->write(why->to, words, sizeof words - 1);
    return HWS_E_INVALID;
  }
  if (mode == HWS_CONFIG_APPLY) probe.config = config;
  return config.find("needs_restart") != std::string::npos ? HWS_RESTART_NEEDED : HWS_OK;
}

void run_action(Probe& probe, const char* name) {
  const auto* actions = static_cast<const hws_host_action*>(host->extension(probe.ctx, HWS_EXT_ACTION));
  const hws_status status = actions->run(
      probe.ctx, {name, std::strlen(name)},
      [](void* user, int32_t exit_code, hws_str output, hws_str reason) {
        say(*static_cast<Probe*>(user), "action " + std::to_string(exit_code) + " " + text(output) + text(reason));
      },
      &probe);
  if (status != HWS_OK) say(probe, std::string(name) + " answered " + std::to_string(status));
}

void ask_for_everything(Probe& probe) {
  for (const char* key : {"device.serial", "device.site", "plugin.state_dir", "no.such.key"}) {
    std::string value;
    const hws_sink sink{&value, [](void* to, const void* data, size_t len) {
                          static_cast<std::string*>(to)->assign(static_cast<const char*>(data), len);
                          return hws_status{HWS_OK};
                        }};
    const hws_status status = host->info(probe.ctx, {key, std::strlen(key)}, &sink);
    say(probe, std::string(key) + "=" + value + " " + std::to_string(status));
  }
  run_action(probe, "allowed");
  run_action(probe, "not_allowed");
  const auto* cloud = static_cast<const hws_host_cloud*>(host->extension(probe.ctx, HWS_EXT_CLOUD));
  cloud->reached(
      probe.ctx, 1000,
      [](void* user, hws_status status, hws_str how) {
        say(*static_cast<Probe*>(user), "reached " + std::to_string(status) + " " + text(how));
      },
      &probe);
  // The thread rule, from a thread that is not the service thread.
  hws_status on_other = HWS_OK;
  std::thread([&] {
    on_other = host->timer(
        probe.ctx, 1, 0, [](void*) {}, nullptr, nullptr);
  }).join();
  say(probe, "other thread " + std::to_string(on_other));
  host->post(
      probe.ctx, [](void* of) { say(*static_cast<Probe*>(of), "posted"); }, &probe);
}

hws_status start(void* self) {
  auto& probe = *static_cast<Probe*>(self);
  if (wants(probe, "throw_in_start")) throw std::runtime_error("the probe throws");
  if (wants(probe, "fail_in_start")) {
    host->error(probe.ctx, HWS_E_FAIL, str("the sensor is not there"));
    return HWS_E_FAIL;
  }
  if (wants(probe, "hang_in_start")) {
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
  }
  if (wants(probe, "hungry")) throw std::bad_alloc();
  if (wants(probe, "throw_in_timer"))
    host->timer(
        probe.ctx, 1, 0, [](void*) { throw 42; }, nullptr, nullptr);
  if (wants(probe, "flood_log")) {
    for (int i = 0; i < 100'000; ++i) say(probe, "flood " + std::to_string(i));
  }
  if (wants(probe, "ask")) ask_for_everything(probe);
  if (wants(probe, "open_other")) {
    probe.subconn = static_cast<const hws_host_subconn*>(host->extension(probe.ctx, HWS_EXT_SUBCONN));
    hws_subconn_params params{};
    params.size = sizeof params;
    params.service = "not_mine";
    say(probe, "open " + std::to_string(probe.subconn->open(probe.ctx, &params, nullptr, nullptr, &probe.connection)));
  }
  if (wants(probe, "open_probe")) open_service(probe);
  host->health(probe.ctx, HWS_READY, str("well"));
  return HWS_OK;
}

void stop(void* self, uint32_t) {
  auto& probe = *static_cast<Probe*>(self);
  if (wants(probe, "never_stop")) return;
  if (probe.connection) probe.subconn->send_durable(probe.connection, "farewell", 8, 0, nullptr);
  host->health(probe.ctx, HWS_STOPPED, str("done"));
}

void destroy(void* self) { delete static_cast<Probe*>(self); }

const void* extension(void*, const char*) { return nullptr; }

constexpr hws_plugin kTable = {sizeof(hws_plugin), HWS_ABI_MINOR, 0,    "acme.probe", "1.2.3",  create,
                               configure,          start,         stop, destroy,      extension};

}  // namespace

extern "C" const hws_plugin* hawser_plugin_v1(const hws_host* from) {
  host = from;
  return &kTable;
}
