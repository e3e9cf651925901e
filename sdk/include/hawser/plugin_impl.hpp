// hawser/plugin_impl.hpp - how hawser/plugin.hpp does it. Include that one.
#pragma once

#include <algorithm>
#include <hawser/plugin.hpp>

namespace hawser::sdk {

// ---- Context
// ---------------------------------------------------------------------------------------------------------

template <class F>
hws_status Context::guard(F&& call) const noexcept {
  try {
    if constexpr (std::is_void_v<decltype(call())>) {
      call();
      return HWS_OK;
    } else {
      return call();
    }
  } catch (const Error& error) {
    return report(error.status() < 0 ? error.status() : HWS_E_FAIL, error.what());
  } catch (const std::bad_alloc&) {
    return report(HWS_E_NOMEM, "out of memory");
  } catch (const std::exception& error) {
    return report(HWS_E_FAIL, error.what());
  } catch (...) {
    return report(HWS_E_FAIL, "something that is no std::exception was thrown");
  }
}

template <class F>
void Context::guard_or_fault(F&& call) const noexcept {
  if (guard(std::forward<F>(call)) < 0) host_->health(handle_, HWS_FAULTED, to_c("a handler failed; see the error"));
}

inline void Context::log(std::int32_t level, std::string_view message, std::initializer_list<Field> fields) const {
  hws_kv pairs[kLogFieldsMax];
  std::size_t count = 0;
  for (const auto& [key, value] : fields) {
    if (count == kLogFieldsMax) break;
    pairs[count++] = {to_c(key), to_c(value)};
  }
  host_->log(handle_, level, to_c(message), pairs, count);
}

inline std::optional<std::string> Context::fact(std::string_view key) const {
  if (!HWS_HAS(hws_host, host_, info)) return std::nullopt;
  std::string value;
  const hws_sink sink{&value, append_to_string};
  if (host_->info(handle_, to_c(key), &sink) < 0) return std::nullopt;
  return value;
}

// The context owns what was posted: a host that ends without running it leaks nothing.
inline void Context::post(std::function<void()> call) const {
  auto posted = std::make_unique<Posted>(Posted{this, std::move(call)});
  Posted* const argument = posted.get();
  const auto run_once = [](void* which) {
    const Context& context = *static_cast<Posted*>(which)->context;
    std::unique_ptr<Posted> owned;
    {
      const std::lock_guard lock(context.posts_mutex_);
      owned = take(context.posts_, which);
    }
    if (owned) context.guard_or_fault(owned->call);
  };
  {
    const std::lock_guard lock(posts_mutex_);
    posts_.push_back(std::move(posted));
  }
  const hws_status status = host_->post(handle_, run_once, argument);
  if (status < 0) {
    const std::lock_guard lock(posts_mutex_);
    take(posts_, argument);
  }
  check(status, "post");
}

// A handler may cancel its own timer or watch: the shared pointer keeps the function that is running.
inline void Context::run(const std::shared_ptr<Task>& task) {
  if (task->timer != 0) timers_.erase(task->timer);
  guard_or_fault(task->call);
}

inline Context::TimerId Context::timer(Milliseconds delay, Milliseconds period, std::function<void()> call) {
  auto task = std::make_shared<Task>(Task{this, std::move(call)});
  const auto fire = [](void* argument) {
    auto* fired = static_cast<Task*>(argument);
    for (const auto& [id, known] : fired->context->timers_) {
      if (known.get() == fired) {
        const std::shared_ptr<Task> kept = known;
        return kept->context->run(kept);
      }
    }
  };
  TimerId id = 0;
  // What is overdue fires at once: as an unsigned number a negative delay would be for ever.
  const auto count = [](Milliseconds time) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(time.count(), 0));
  };
  check(host_->timer(handle_, count(delay), count(period), fire, task.get(), &id), "a timer");
  if (period.count() == 0) task->timer = id;
  timers_[id] = std::move(task);
  return id;
}

inline void Context::cancel(TimerId id) {
  if (timers_.erase(id) != 0) host_->timer_cancel(handle_, id);
}

inline void Context::watch(int descriptor, std::function<void()> readable) {
  if (!HWS_HAS(hws_host, host_, watch)) throw Error(HWS_E_UNSUPPORTED, "this host cannot watch descriptors");
  auto task = std::make_shared<Task>(Task{this, std::move(readable)});
  const auto fire = [](void* argument) {
    auto* fired = static_cast<Task*>(argument);
    for (const auto& [fd, known] : fired->context->watches_) {
      if (known.get() == fired) {
        const std::shared_ptr<Task> kept = known;
        return kept->context->run(kept);
      }
    }
  };
  check(host_->watch(handle_, descriptor, fire, task.get()), "watch");
  watches_[descriptor] = std::move(task);
}

inline void Context::unwatch(int descriptor) {
  if (watches_.erase(descriptor) != 0) host_->unwatch(handle_, descriptor);
}

inline Subconnection& Context::open(const char* service, const char* protocol, SubconnectionHandlers on,
                                    SubconnectionLimits limits) {
  const auto* table = extension<hws_host_subconn>(HWS_EXT_SUBCONN);
  if (!HWS_HAS(hws_host_subconn, table, open)) throw Error(HWS_E_UNSUPPORTED, "this host has no " HWS_EXT_SUBCONN);
  hws_subconn_params params{};
  params.size = sizeof params;
  params.service = service;
  params.protocol = protocol;
  params.outbox_bytes = limits.outbox_bytes;
  params.queue_bytes = limits.queue_bytes;
  if (limits.drop_oldest) params.flags |= HWS_DROP_OLDEST;
  const hws_subconn_events events = Subconnection::events(on);
  subconnections_.push_back(std::unique_ptr<Subconnection>(new Subconnection(*this, std::move(on))));
  Subconnection& made = *subconnections_.back();
  made.table_ = table;
  check(table->open(handle_, &params, &events, &made, &made.handle_), "opening the subconnection");
  return made;
}

template <class Call>
std::unique_ptr<Call> Context::take(std::vector<std::unique_ptr<Call>>& calls, void* which) {
  for (auto at = calls.begin(); at != calls.end(); ++at) {
    if (at->get() != which) continue;
    std::unique_ptr<Call> taken = std::move(*at);
    calls.erase(at);
    return taken;
  }
  return nullptr;  // a host that calls `done` twice
}

inline void Context::run_action(std::string_view name, std::function<void(const ActionResult&)> done) {
  const auto* table = extension<hws_host_action>(HWS_EXT_ACTION);
  if (!HWS_HAS(hws_host_action, table, run)) throw Error(HWS_E_UNSUPPORTED, "this host has no " HWS_EXT_ACTION);
  actions_.push_back(std::make_unique<ActionCall>(ActionCall{this, std::move(done)}));
  ActionCall* call = actions_.back().get();
  const auto finished = [](void* user, std::int32_t exit_code, hws_str output, hws_str reason) {
    Context& context = *static_cast<ActionCall*>(user)->context;
    if (const auto owned = take(context.actions_, user)) {
      context.guard_or_fault([&] { owned->done({exit_code, to_view(output), to_view(reason)}); });
    }
  };
  const hws_status status = table->run(handle_, to_c(name), finished, call);
  if (status < 0) take(actions_, call);
  check(status, "the action");
}

inline void Context::cloud_reached(Milliseconds timeout, std::function<void(bool, std::string_view)> done) {
  const auto* table = extension<hws_host_cloud>(HWS_EXT_CLOUD);
  if (!HWS_HAS(hws_host_cloud, table, reached)) throw Error(HWS_E_UNSUPPORTED, "this host has no " HWS_EXT_CLOUD);
  reached_.push_back(std::make_unique<ReachedCall>(ReachedCall{this, std::move(done)}));
  ReachedCall* call = reached_.back().get();
  const auto finished = [](void* user, hws_status status, hws_str how) {
    Context& context = *static_cast<ReachedCall*>(user)->context;
    if (const auto owned = take(context.reached_, user)) {
      context.guard_or_fault([&] { owned->done(status == HWS_OK, to_view(how)); });
    }
  };
  const hws_status status = table->reached(handle_, static_cast<std::uint32_t>(timeout.count()), finished, call);
  if (status < 0) take(reached_, call);
  check(status, "asking whether the cloud is reached");
}

// ---- Subconnection
// ---------------------------------------------------------------------------------------------------

inline std::optional<std::uint64_t> Subconnection::number_of(hws_status status, std::uint64_t number) {
  if (status == HWS_E_AGAIN) return std::nullopt;
  Context::check(status, "the durable message");
  return number;
}

inline std::optional<std::uint64_t> Subconnection::send_durable(Bytes data, std::uint32_t flags) const {
  std::uint64_t number = 0;
  const hws_status status = table_->send_durable(handle_, data.data(), data.size(), flags, &number);
  return number_of(status, number);
}

inline std::optional<std::uint64_t> Subconnection::send_source(std::string_view source, Bytes data,
                                                               std::uint32_t flags) const {
  if (!HWS_HAS(hws_host_subconn, table_, send_source)) {
    throw Error(HWS_E_UNSUPPORTED, "this host keeps no messages whose bytes stand in a file");
  }
  std::uint64_t number = 0;
  const hws_status status = table_->send_source(handle_, to_c(source), data.data(), data.size(), flags, &number);
  return number_of(status, number);
}

inline Send Subconnection::answer_of(hws_status status, const char* what) {
  if (status == HWS_E_AGAIN) return Send::full;
  if (status == HWS_E_CLOSED) return Send::closed;
  Context::check(status, what);
  return Send::queued;
}

inline Send Subconnection::send(Bytes data, std::uint32_t flags) const {
  return answer_of(table_->send(handle_, data.data(), data.size(), flags), "the message");
}

inline Send Subconnection::send_text(std::string_view json) const {
  return answer_of(table_->send_text(handle_, to_c(json)), "the text message");
}

inline void Subconnection::settle(std::uint64_t number, const Verdict& verdict) const {
  Context::check(table_->settle(handle_, number, verdict.status, to_c(verdict.why)), "settle");
}

template <class F>
void Subconnection::deliver(void* self, F&& call) {
  auto* subconnection = static_cast<Subconnection*>(self);
  subconnection->context_->guard_or_fault([&] { call(subconnection->on_); });
}

inline hws_subconn_events Subconnection::events(const SubconnectionHandlers& handlers) {
  using On = SubconnectionHandlers;
  hws_subconn_events events{};
  events.size = sizeof events;
  events.opened = [](void* self, hws_subconn*, hws_str about) {
    deliver(self, [&](On& on) { on.opened ? on.opened(to_view(about)) : void(); });
  };
  events.text = [](void* self, hws_subconn*, hws_str json) {
    deliver(self, [&](On& on) { on.text ? on.text(to_view(json)) : void(); });
  };
  events.message = [](void* self, hws_subconn*, const void* data, std::size_t size) {
    deliver(self, [&](On& on) { on.message ? on.message(to_bytes(data, size)) : void(); });
  };
  events.durable = [](void* self, hws_subconn*, hws_str stream, std::uint64_t number, const void* data,
                      std::size_t size, const hws_sink* why) -> hws_status {
    auto* subconnection = static_cast<Subconnection*>(self);
    return subconnection->context_->guard([&]() -> hws_status {
      if (!subconnection->on_.durable) return HWS_E_INVALID;
      const Verdict verdict = subconnection->on_.durable({to_view(stream), number, to_bytes(data, size)});
      if (why && !verdict.why.empty()) why->write(why->to, verdict.why.data(), verdict.why.size());
      return verdict.status;
    });
  };
  events.acked = [](void* self, hws_subconn*, std::uint64_t number) {
    deliver(self, [&](On& on) { on.acked ? on.acked(number) : void(); });
  };
  events.nacked = [](void* self, hws_subconn*, std::uint64_t number, hws_str code, hws_str message) {
    deliver(self, [&](On& on) { on.nacked ? on.nacked(number, to_view(code), to_view(message)) : void(); });
  };
  events.writable = [](void* self, hws_subconn*) {
    deliver(self, [&](On& on) { on.writable ? on.writable() : void(); });
  };
  events.closed = [](void* self, hws_subconn*, hws_str reason, hws_str detail, std::uint32_t retry_ms) {
    deliver(self, [&](On& on) {
      if (on.closed) on.closed(to_view(reason), to_view(detail), Milliseconds(retry_ms));
    });
  };
  events.accepted = [](void* self, hws_subconn*, std::uint64_t number) {
    deliver(self, [&](On& on) { on.accepted ? on.accepted(number) : void(); });
  };
  events.found = [](void* self, hws_subconn*, std::uint64_t number, hws_str source) {
    deliver(self, [&](On& on) { on.found ? on.found(number, to_view(source)) : void(); });
  };
  events.resumed = [](void* self, hws_subconn*, std::uint64_t next_number) {
    deliver(self, [&](On& on) { on.resumed ? on.resumed(next_number) : void(); });
  };
  if (!handlers.source) return events;  // the host refuses send_source() then
  events.source = [](void* self, hws_subconn*, std::uint64_t number, hws_str source, const hws_sink* out) -> hws_status {
    auto* subconnection = static_cast<Subconnection*>(self);
    return subconnection->context_->guard([&]() -> hws_status {
      const auto bytes = subconnection->on_.source(number, to_view(source));
      return bytes ? out->write(out->to, bytes->data(), bytes->size()) : HWS_E_INVALID;
    });
  };
  return events;
}

}  // namespace hawser::sdk
