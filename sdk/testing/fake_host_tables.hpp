#pragma once

#include "fake_host.hpp"

namespace hawser::sdk::testing {

// An hws_sink that appends to the std::string `to`.
inline hws_status append_to_string(void* to, const void* data, std::size_t size) {
  static_cast<std::string*>(to)->append(static_cast<const char*>(data), size);
  return HWS_OK;
}

// The C tables behind FakeHost.
struct FakeHostTables {
  static hws_host host();
  static const void* extension(hws_ctx* handle, const char* id);

  static FakeHost& of(hws_ctx* handle) { return *reinterpret_cast<FakeHost*>(handle); }
  static FakeSubconnection& of(hws_subconn* handle) { return *reinterpret_cast<FakeSubconnection*>(handle); }
  static std::string text(hws_str value) { return value.ptr ? std::string(value.ptr, value.len) : std::string(); }

  static void log(hws_ctx*, std::int32_t level, hws_str message, const hws_kv* fields, std::size_t count);
  static void error(hws_ctx*, hws_status code, hws_str detail);
  static void health(hws_ctx*, std::int32_t state, hws_str detail);
  static hws_status post(hws_ctx*, void (*call)(void*), void* argument);
  static hws_status timer(hws_ctx*, std::uint64_t after_ms, std::uint64_t period_ms, void (*call)(void*),
                          void* argument, std::uint64_t* id);
  static hws_status timer_cancel(hws_ctx*, std::uint64_t id);
  static hws_status info(hws_ctx*, hws_str key, const hws_sink* out);
  static hws_status watch(hws_ctx*, std::int32_t fd, void (*call)(void*), void* argument);
  static hws_status unwatch(hws_ctx*, std::int32_t fd);

  static hws_status open(hws_ctx*, const hws_subconn_params* params, const hws_subconn_events* events, void* user,
                         hws_subconn** out);
  static hws_status send_durable(hws_subconn*, const void* data, std::size_t size, std::uint32_t flags,
                                 std::uint64_t* number);
  static hws_status send(hws_subconn*, const void* data, std::size_t size, std::uint32_t flags);
  static hws_status send_text(hws_subconn*, hws_str json);
  static hws_status settle(hws_subconn*, std::uint64_t number, hws_status verdict, hws_str why);
  static hws_status send_source(hws_subconn*, hws_str source, const void* data, std::size_t size, std::uint32_t flags,
                                std::uint64_t* number);

  static hws_status state_get(hws_ctx*, hws_str key, const hws_sink* out);
  static hws_status state_each(hws_ctx*, hws_str prefix, hws_status (*visit)(void*, hws_str, hws_str), void* user);
  static hws_status state_put(hws_ctx*, const hws_kv* changes, std::size_t count, void (*done)(void*, hws_status),
                              void* user);
  static hws_status state_change(hws_ctx*, const hws_kv* changes, std::size_t count, const hws_str* removed,
                                 std::size_t removed_count, void (*done)(void*, hws_status), void* user);
  static hws_status set_metric(hws_ctx*, std::int32_t kind, hws_str name, hws_str unit, double value,
                               const hws_kv* attributes, std::size_t count);

  static hws_status run_action(hws_ctx*, hws_str name, void (*done)(void*, std::int32_t, hws_str, hws_str), void* user);
  static hws_status reached(hws_ctx*, std::uint32_t timeout_ms, void (*done)(void*, hws_status, hws_str), void* user);
};

}  // namespace hawser::sdk::testing
