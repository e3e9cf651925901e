#include "core/host/host_functions.hpp"

#include <new>

#include "core/host/instance.hpp"
#include "core/host/text_sink.hpp"

namespace hawser::host {
namespace {

// Runs what stands behind a C function. The only things that can be thrown here are ours.
template <typename Call>
hws_status edge(Call&& call) noexcept {
  try {
    return call();
  } catch (const std::bad_alloc&) {
    return HWS_E_NOMEM;
  } catch (...) {
    return HWS_E_FAIL;
  }
}

// The same for a function of the service thread.
template <typename Call>
hws_status svc(Instance& instance, const char* function, Call&& call) noexcept {
  return edge([&] { return instance.on_service_thread(function) ? call() : HWS_E_THREAD; });
}

std::string_view bytes(const void* data, size_t len) {
  return data ? std::string_view(static_cast<const char*>(data), len) : std::string_view();
}

const hws_host_subconn kSubconn = {
    sizeof(hws_host_subconn),
    [](hws_ctx* ctx, const hws_subconn_params* params, const hws_subconn_events* events, void* user,
       hws_subconn** out) {
      return svc(*ctx->instance, "open", [&] { return ctx->instance->open(params, events, user, out); });
    },
    [](hws_subconn* to, const void* data, size_t len, uint32_t flags, uint64_t* seq) {
      return edge([&] {
        return hws_subconn::status_of(
            to->connection().send_durable(bytes(data, len), (flags & HWS_COMPRESS) != 0, seq));
      });
    },
    [](hws_subconn* to, const void* data, size_t len, uint32_t flags) {
      return edge(
          [&] { return hws_subconn::status_of(to->connection().send(bytes(data, len), (flags & HWS_COMPRESS) != 0)); });
    },
    [](hws_subconn* to, hws_str json) {
      return edge([&] { return hws_subconn::status_of(to->connection().send_text(view(json))); });
    },
    [](hws_subconn* to, uint64_t seq, hws_status verdict, hws_str why) {
      return svc(to->instance(), "settle", [&] { return to->settle(seq, verdict, view(why)); });
    },
    [](hws_subconn* to, hws_str source, const void* data, size_t len, uint32_t flags, uint64_t* seq) {
      return edge([&] { return to->send_source(view(source), bytes(data, len), (flags & HWS_COMPRESS) != 0, seq); });
    }};

const hws_host_action kAction = {
    sizeof(hws_host_action), [](hws_ctx* ctx, hws_str name, Instance::ActionDone done, void* user) {
      return svc(*ctx->instance, "run", [&] { return ctx->instance->run_action(name, done, user); });
    }};

const hws_host_cloud kCloud = {
    sizeof(hws_host_cloud), [](hws_ctx* ctx, uint32_t timeout_ms, Instance::ReachDone done, void* user) {
      return svc(*ctx->instance, "reached", [&] { return ctx->instance->reach_cloud(timeout_ms, done, user); });
    }};

const hws_host_state kState = {
    sizeof(hws_host_state),
    [](hws_ctx* ctx, hws_str key, const hws_sink* out) {
      return svc(*ctx->instance, "state get", [&] { return ctx->instance->state().get(view(key), out); });
    },
    [](hws_ctx* ctx, hws_str prefix, PrivateState::Visit fn, void* user) {
      return svc(*ctx->instance, "state each", [&] { return ctx->instance->state().each(view(prefix), fn, user); });
    },
    [](hws_ctx* ctx, const hws_kv* changes, size_t n, PrivateState::Done done, void* user) {
      return svc(*ctx->instance, "state put", [&] { return ctx->instance->state().put(changes, n, done, user); });
    },
    [](hws_ctx* ctx, const hws_kv* changes, size_t n, const hws_str* removed, size_t nremoved, PrivateState::Done done,
       void* user) {
      return svc(*ctx->instance, "state change", [&] {
        return ctx->instance->state().change(changes, n, {removed, nremoved}, done, user);
      });
    }};

const hws_host_metrics kMetrics = {
    sizeof(hws_host_metrics),
    [](hws_ctx* ctx, int32_t kind, hws_str name, hws_str unit, double value, const hws_kv* attributes, size_t nkv) {
      return edge([&] { return ctx->instance->metrics().set(kind, name, unit, value, attributes, nkv); });
    }};

const void* extension(hws_ctx*, const char* id) {
  const std::string_view wanted = id ? id : "";
  if (wanted == HWS_EXT_SUBCONN) return &kSubconn;
  if (wanted == HWS_EXT_ACTION) return &kAction;
  if (wanted == HWS_EXT_CLOUD) return &kCloud;
  if (wanted == HWS_EXT_STATE) return &kState;
  if (wanted == HWS_EXT_METRICS) return &kMetrics;
  return nullptr;
}

}  // namespace

hws_host host_functions() {
  hws_host host{};
  host.size = sizeof host;
  host.abi_major = HWS_ABI_MAJOR;
  host.abi_minor = HWS_ABI_MINOR;
  host.name = "hawser-host";
  host.version = HAWSER_VERSION;
  host.log = [](hws_ctx* ctx, int32_t level, hws_str message, const hws_kv* fields, size_t count) {
    edge([&] { return ctx->instance->log(level, message, fields, count), HWS_OK; });
  };
  host.error = [](hws_ctx* ctx, hws_status code, hws_str detail) {
    edge([&] { return ctx->instance->error(code, detail), HWS_OK; });
  };
  host.health = [](hws_ctx* ctx, int32_t state, hws_str detail) {
    edge([&] { return ctx->instance->health(state, detail), HWS_OK; });
  };
  host.post = [](hws_ctx* ctx, void (*fn)(void*), void* arg) {
    return edge([&] { return ctx->instance->post(fn, arg); });
  };
  host.timer = [](hws_ctx* ctx, uint64_t after, uint64_t period, void (*fn)(void*), void* arg, uint64_t* id) {
    return svc(*ctx->instance, "timer", [&] { return ctx->instance->timer(after, period, fn, arg, id); });
  };
  host.timer_cancel = [](hws_ctx* ctx, uint64_t id) {
    return svc(*ctx->instance, "timer_cancel", [&] { return ctx->instance->timer_cancel(id); });
  };
  host.extension = &extension;
  host.info = [](hws_ctx* ctx, hws_str key, const hws_sink* out) {
    return edge([&] { return ctx->instance->info(key, out); });
  };
  host.watch = [](hws_ctx* ctx, int32_t fd, void (*fn)(void*), void* arg) {
    return svc(*ctx->instance, "watch", [&] { return ctx->instance->watch(fd, fn, arg); });
  };
  host.unwatch = [](hws_ctx* ctx, int32_t fd) {
    return svc(*ctx->instance, "unwatch", [&] { return ctx->instance->unwatch(fd); });
  };
  return host;
}

const char* status_name(hws_status status) {
  switch (status) {
    case HWS_OK:
      return "HWS_OK";
    case HWS_RESTART_NEEDED:
      return "HWS_RESTART_NEEDED";
    case HWS_PENDING:
      return "HWS_PENDING";
    case HWS_E_FAIL:
      return "HWS_E_FAIL";
    case HWS_E_INVALID:
      return "HWS_E_INVALID";
    case HWS_E_UNSUPPORTED:
      return "HWS_E_UNSUPPORTED";
    case HWS_E_DENIED:
      return "HWS_E_DENIED";
    case HWS_E_AGAIN:
      return "HWS_E_AGAIN";
    case HWS_E_CLOSED:
      return "HWS_E_CLOSED";
    case HWS_E_NOMEM:
      return "HWS_E_NOMEM";
    case HWS_E_TIMEOUT:
      return "HWS_E_TIMEOUT";
    case HWS_E_THREAD:
      return "HWS_E_THREAD";
    case HWS_E_NOT_FOUND:
      return "HWS_E_NOT_FOUND";
    default:
      return "a status that the ABI does not know";
  }
}

}  // namespace hawser::host
