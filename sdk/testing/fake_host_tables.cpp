#include "fake_host_tables.hpp"

#include <algorithm>
#include <cstring>

namespace hawser::sdk::testing {

namespace {
// The limits that plugin.h names.
constexpr std::size_t kPostsMax = 4096, kTimersMax = 1024, kWatchesMax = 48, kSourceBytesMax = 4096;
constexpr std::uint64_t kTimeMsMax = std::uint64_t{366} * 24 * 3600 * 1000;
}  // namespace

hws_host FakeHostTables::host() {
  hws_host host{};
  host.size = sizeof host;
  host.abi_major = HWS_ABI_MAJOR;
  host.abi_minor = HWS_ABI_MINOR;
  host.name = "hawser-fake-host";
  host.version = "0";
  host.log = log;
  host.error = error;
  host.health = health;
  host.post = post;
  host.timer = timer;
  host.timer_cancel = timer_cancel;
  host.extension = extension;
  host.info = info;
  host.watch = watch;
  host.unwatch = unwatch;
  return host;
}

const void* FakeHostTables::extension(hws_ctx* handle, const char* id) {
  static const hws_host_subconn subconn = {
      sizeof(hws_host_subconn), open, send_durable, send, send_text, settle, send_source};
  static const hws_host_action action = {sizeof(hws_host_action), run_action};
  static const hws_host_cloud cloud = {sizeof(hws_host_cloud), reached};
  static const hws_host_state state = {sizeof(hws_host_state), state_get, state_each, state_put, state_change};
  static const hws_host_metrics metrics = {sizeof(hws_host_metrics), set_metric};
  of(handle).not_after_destroy("extension");
  if (std::strcmp(id, HWS_EXT_SUBCONN) == 0 && of(handle).has_subconnections) return &subconn;
  if (std::strcmp(id, HWS_EXT_ACTION) == 0 && of(handle).has_actions) return &action;
  if (std::strcmp(id, HWS_EXT_CLOUD) == 0 && of(handle).has_cloud) return &cloud;
  if (std::strcmp(id, HWS_EXT_STATE) == 0 && of(handle).has_state) return &state;
  if (std::strcmp(id, HWS_EXT_METRICS) == 0 && of(handle).has_metrics) return &metrics;
  return nullptr;
}

void FakeHostTables::log(hws_ctx* handle, std::int32_t level, hws_str message, const hws_kv* fields,
                         std::size_t count) {
  LogLine line{level, text(message), {}};
  for (std::size_t i = 0; i < count; ++i) line.fields[text(fields[i].key)] = text(fields[i].value);
  FakeHost& host = of(handle);
  host.not_after_destroy("log");
  static const char* const levels[] = {"debug", "info", "warn", "error", "misbehaving"};
  host.hear("log " + std::string(level >= 0 && level <= HWS_LOG_MISBEHAVING ? levels[level] : "?") + ": " +
            line.message);
  const std::lock_guard lock(host.mutex_);
  host.logs.push_back(std::move(line));
}

void FakeHostTables::error(hws_ctx* handle, hws_status, hws_str detail) {
  of(handle).not_after_destroy("error");
  of(handle).hear("error: " + text(detail));
  const std::lock_guard lock(of(handle).mutex_);
  of(handle).errors.push_back(text(detail));
}

void FakeHostTables::health(hws_ctx* handle, std::int32_t state, hws_str detail) {
  FakeHost& host = of(handle);
  host.not_after_destroy("health");
  ++host.effects;
  static const char* const states[] = {"?", "ready", "degraded", "stopped", "faulted"};
  host.hear("health " + std::string(states[state >= HWS_READY && state <= HWS_FAULTED ? state : 0]) +
            (detail.len != 0 ? ": " + text(detail) : ""));
  const std::lock_guard lock(host.mutex_);
  host.health.push_back({state, text(detail)});
}

hws_status FakeHostTables::post(hws_ctx* handle, void (*call)(void*), void* argument) {
  of(handle).not_after_destroy("post");
  ++of(handle).effects;
  if (!call) return of(handle).invalid("post", "no function");
  const std::lock_guard lock(of(handle).mutex_);
  if (of(handle).posts_.size() >= kPostsMax) return HWS_E_AGAIN;
  of(handle).posts_.push_back({call, argument});
  return HWS_OK;
}

hws_status FakeHostTables::timer(hws_ctx* handle, std::uint64_t after_ms, std::uint64_t period_ms, void (*call)(void*),
                                 void* argument, std::uint64_t* id) {
  FakeHost& host = of(handle);
  if (host.wrong_thread("timer")) return HWS_E_THREAD;
  ++host.effects;
  if (!call) return host.invalid("timer", "no function");
  if (after_ms > kTimeMsMax || period_ms > kTimeMsMax) return host.invalid("timer", "more than a year");
  if (host.timers_.size() >= kTimersMax) return HWS_E_AGAIN;
  const std::uint64_t number = host.next_timer_++;
  host.timers_[number] = {host.now_ + Milliseconds(after_ms), Milliseconds(period_ms), call, argument};
  if (id) *id = number;
  return HWS_OK;
}

hws_status FakeHostTables::timer_cancel(hws_ctx* handle, std::uint64_t id) {
  if (of(handle).wrong_thread("timer_cancel")) return HWS_E_THREAD;
  return of(handle).timers_.erase(id) != 0 ? HWS_OK : HWS_E_INVALID;
}

hws_status FakeHostTables::info(hws_ctx* handle, hws_str key, const hws_sink* out) {
  of(handle).not_after_destroy("info");
  const auto fact = of(handle).facts.find(text(key));
  if (fact == of(handle).facts.end()) return HWS_E_UNSUPPORTED;
  return out->write(out->to, fact->second.data(), fact->second.size());
}

hws_status FakeHostTables::watch(hws_ctx* handle, std::int32_t fd, void (*call)(void*), void* argument) {
  FakeHost& host = of(handle);
  if (host.wrong_thread("watch")) return HWS_E_THREAD;
  ++host.effects;
  if (!call || fd < 0) return host.invalid("watch", "no function, or no descriptor");
  if (host.watches_.size() >= kWatchesMax && host.watches_.count(fd) == 0) return HWS_E_AGAIN;
  host.watches_[fd] = {call, argument};
  return HWS_OK;
}

hws_status FakeHostTables::unwatch(hws_ctx* handle, std::int32_t fd) {
  if (of(handle).wrong_thread("unwatch")) return HWS_E_THREAD;
  if (of(handle).watches_.erase(fd) != 0) return HWS_OK;
  return of(handle).invalid("unwatch", "descriptor " + std::to_string(fd) + " is not watched");
}

hws_status FakeHostTables::open(hws_ctx* handle, const hws_subconn_params* params, const hws_subconn_events* events,
                                void* user, hws_subconn** out) {
  FakeHost& host = of(handle);
  if (host.wrong_thread("open")) return HWS_E_THREAD;
  ++host.effects;
  if (!params || !events || !out || !params->service || !params->protocol)
    return host.invalid("open", "no parameters, events, service, protocol or place for the handle");
  if (host.has_subconnection(params->service))
    return host.invalid("open", "the service " + std::string(params->service) + " is open already");
  host.hear("the plugin opens " + std::string(params->service) + " (" + params->protocol + ")");
  if (host.denies_services) return HWS_E_DENIED;
  auto made = std::make_unique<FakeSubconnection>();
  made->host_ = &host;
  made->service = params->service;
  made->protocol = params->protocol;
  made->outbox_bytes = params->outbox_bytes;
  made->queue_bytes = params->queue_bytes;
  made->drop_oldest = (params->flags & HWS_DROP_OLDEST) != 0;
  std::memcpy(&made->events_, events, std::min<std::size_t>(events->size, sizeof made->events_));
  made->user_ = user;
  *out = made->handle();
  host.later([opened = made.get()] { opened->resume(); });
  host.subconnections_.push_back(std::move(made));
  return HWS_OK;
}

hws_status FakeHostTables::send_durable(hws_subconn* handle, const void* data, std::size_t size, std::uint32_t flags,
                                        std::uint64_t* number) {
  return of(handle).take_durable(data, size, flags, number);
}

hws_status FakeHostTables::send_source(hws_subconn* handle, hws_str source, const void* data, std::size_t size,
                                       std::uint32_t flags, std::uint64_t* number) {
  if (!of(handle).events_.source) return HWS_E_UNSUPPORTED;
  if (source.len > kSourceBytesMax) return of(handle).host_->invalid("send_source", "a source of more than 4 KiB");
  return of(handle).take_durable(data, size, flags, number, text(source));
}

hws_status FakeHostTables::send(hws_subconn* handle, const void* data, std::size_t size, std::uint32_t flags) {
  FakeSubconnection& subconnection = of(handle);
  ++subconnection.host_->effects;
  if (!subconnection.open_) return HWS_E_CLOSED;
  subconnection.hear("the plugin sent " + std::to_string(size) + " bytes, best effort");
  const std::lock_guard lock(subconnection.host_->mutex_);
  subconnection.best_effort_sent.push_back({0, std::string(static_cast<const char*>(data), size), flags});
  return HWS_OK;
}

hws_status FakeHostTables::send_text(hws_subconn* handle, hws_str json) {
  FakeSubconnection& subconnection = of(handle);
  ++subconnection.host_->effects;
  if (!subconnection.open_) return HWS_E_CLOSED;
  subconnection.hear("the plugin sent text " + text(json));
  const std::lock_guard lock(subconnection.host_->mutex_);
  subconnection.texts_sent.push_back(text(json));
  return HWS_OK;
}

hws_status FakeHostTables::settle(hws_subconn* handle, std::uint64_t number, hws_status verdict, hws_str why) {
  if (of(handle).host_->wrong_thread("settle")) return HWS_E_THREAD;
  of(handle).hear("the plugin settled " + std::to_string(number) + " with " + std::to_string(verdict));
  of(handle).settled.push_back({number, verdict, text(why)});
  return HWS_OK;
}

hws_status FakeHostTables::run_action(hws_ctx* handle, hws_str name,
                                      void (*done)(void*, std::int32_t, hws_str, hws_str), void* user) {
  FakeHost& host = of(handle);
  if (host.wrong_thread("run")) return HWS_E_THREAD;
  ++host.effects;
  host.hear("the plugin runs the action " + text(name));
  auto scripts = host.actions.find(text(name));
  if (scripts == host.actions.end()) scripts = host.actions.find("*");
  if (scripts == host.actions.end() || scripts->second.empty()) return HWS_E_DENIED;
  host.actions_run.push_back(text(name));
  const ScriptedAction script = scripts->second.front();
  if (scripts->second.size() > 1) scripts->second.pop_front();
  if (script.holds) {
    host.held_actions_.push_back({done, user});
    return HWS_OK;
  }
  host.later([script, done, user] {
    if (script.effect) script.effect();
    done(user, script.exit_code, {script.output.data(), script.output.size()},
         {script.reason.data(), script.reason.size()});
  });
  return HWS_OK;
}

hws_status FakeHostTables::reached(hws_ctx* handle, std::uint32_t timeout_ms, void (*done)(void*, hws_status, hws_str),
                                   void* user) {
  FakeHost& host = of(handle);
  if (host.wrong_thread("reached")) return HWS_E_THREAD;
  ++host.effects;
  host.hear("the plugin asks whether the cloud is reached");
  host.reached_asked.emplace_back(timeout_ms, host.cloud == FakeHost::Cloud::reached);
  if (host.cloud == FakeHost::Cloud::reached) {
    host.later([done, user] { done(user, HWS_OK, {"keepalive_ack", 13}); });
  } else {
    host.held_reached_.push_back({done, user});
  }
  if (host.cloud == FakeHost::Cloud::out_of_reach) {
    FakeHost* self = &host;
    const auto expire = [](void* argument) {
      auto* expired = static_cast<FakeHost*>(argument);
      if (!expired->held_reached_.empty()) expired->answer_reached(false);
    };
    host.timers_[host.next_timer_++] = {host.now_ + Milliseconds(timeout_ms), Milliseconds(0), expire, self};
  }
  return HWS_OK;
}

}  // namespace hawser::sdk::testing
