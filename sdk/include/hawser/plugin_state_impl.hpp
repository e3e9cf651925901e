// hawser/plugin_state_impl.hpp - how the private state and the figures do it. Include hawser/plugin.hpp.
#pragma once

#include <hawser/plugin.hpp>

namespace hawser::sdk {

inline State& Context::state() {
  if (!state_) {
    const auto* table = extension<hws_host_state>(HWS_EXT_STATE);
    if (!HWS_HAS(hws_host_state, table, change)) throw Error(HWS_E_UNSUPPORTED, "this host has no " HWS_EXT_STATE);
    state_.reset(new State(*this, table, handle_));
  }
  return *state_;
}

inline std::optional<std::string> State::get(std::string_view key) const {
  std::string value;
  const hws_sink sink{&value, append_to_string};
  const hws_status status = table_->get(handle_, to_c(key), &sink);
  if (status == HWS_E_NOT_FOUND) return std::nullopt;
  Context::check(status, "reading the private state");
  return value;
}

// What `visit` throws waits until the host's function has returned: nothing is thrown through it.
inline void State::each(std::string_view prefix, const Visit& visit) const {
  struct Round {
    const Visit& visit;
    std::exception_ptr thrown{};
  } round{visit};
  const auto call = [](void* user, hws_str key, hws_str value) -> hws_status {
    auto& self = *static_cast<Round*>(user);
    try {
      self.visit(to_view(key), to_view(value));
      return HWS_OK;
    } catch (...) {
      self.thrown = std::current_exception();
      return HWS_E_FAIL;
    }
  };
  const hws_status status = table_->each(handle_, to_c(prefix), call, &round);
  if (round.thrown) std::rethrow_exception(round.thrown);
  Context::check(status, "reading the private state");
}

inline void State::put(std::span<const Change> changes, Done done) {
  std::vector<hws_kv> pairs;
  std::vector<hws_str> removed;
  for (const Change& change : changes) {
    if (change.value) pairs.push_back({to_c(change.key), to_c(*change.value)});
    if (!change.value) removed.push_back(to_c(change.key));
  }
  auto call = std::make_unique<PutCall>(PutCall{this, std::move(done)});
  PutCall* const argument = call.get();
  const auto finished = [](void* user, hws_status status) {
    State& self = *static_cast<PutCall*>(user)->state;
    const auto owned = Context::take(self.puts_, user);
    if (owned && owned->done) self.context_.guard_or_fault([&] { owned->done(status == HWS_OK); });
  };
  puts_.push_back(std::move(call));
  const hws_status status =
      table_->change(handle_, pairs.data(), pairs.size(), removed.data(), removed.size(), finished, argument);
  if (status < 0) Context::take(puts_, argument);
  Context::check(status, "the change of the private state");
}

inline void Context::metric(std::int32_t kind, std::string_view name, double value, std::string_view unit,
                            std::initializer_list<Field> attributes) const {
  const auto* table = extension<hws_host_metrics>(HWS_EXT_METRICS);
  if (!HWS_HAS(hws_host_metrics, table, set)) return;
  std::vector<hws_kv> pairs;
  for (const auto& [key, text] : attributes) pairs.push_back({to_c(key), to_c(text)});
  check(table->set(handle_, kind, to_c(name), to_c(unit), value, pairs.data(), pairs.size()), "the figure");
}

}  // namespace hawser::sdk
