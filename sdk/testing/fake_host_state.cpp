// The fake host's private state and figures, with the limits that plugin.h names.
#include <algorithm>
#include <cmath>
#include <set>

#include "fake_host_tables.hpp"

namespace hawser::sdk::testing {

namespace {
constexpr std::size_t kKeyBytesMax = 128, kValueBytesMax = 64 * 1024, kKeysMax = 1024, kStateBytesMax = 256 * 1024;
constexpr std::size_t kFiguresMax = 64, kNameBytesMax = 64, kUnitBytesMax = 16, kAttributesMax = 4;
constexpr std::size_t kAttributeKeyBytesMax = 32, kAttributeValueBytesMax = 64;

hws_str borrow(const std::string& text) { return {text.data(), text.size()}; }

bool is_name(const std::string& text, std::size_t bytes_max) {
  return !text.empty() && text.size() <= bytes_max &&
         text.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_.") == std::string::npos;
}

std::size_t bytes_of(const std::map<std::string, std::string>& state) {
  std::size_t bytes = 0;
  for (const auto& [key, value] : state) bytes += key.size() + value.size();
  return bytes;
}
}  // namespace

hws_status FakeHostTables::state_get(hws_ctx* handle, hws_str key, const hws_sink* out) {
  if (of(handle).wrong_thread("state get")) return HWS_E_THREAD;
  if (!out || key.len == 0 || key.len > kKeyBytesMax) return HWS_E_INVALID;
  const auto found = of(handle).state_now_.find(text(key));
  if (found == of(handle).state_now_.end()) return HWS_E_NOT_FOUND;
  return out->write(out->to, found->second.data(), found->second.size());
}

hws_status FakeHostTables::state_each(hws_ctx* handle, hws_str prefix, hws_status (*visit)(void*, hws_str, hws_str),
                                      void* user) {
  if (of(handle).wrong_thread("state each")) return HWS_E_THREAD;
  if (!visit) return HWS_E_INVALID;
  const auto seen = of(handle).state_now_;  // visit() may put
  const std::string beginning = text(prefix);
  for (auto at = seen.lower_bound(beginning); at != seen.end() && at->first.starts_with(beginning); ++at) {
    if (const hws_status status = visit(user, borrow(at->first), borrow(at->second)); status != HWS_OK) return status;
  }
  return HWS_OK;
}

hws_status FakeHostTables::state_put(hws_ctx* handle, const hws_kv* changes, std::size_t count,
                                     void (*done)(void*, hws_status), void* user) {
  if (of(handle).wrong_thread("state put")) return HWS_E_THREAD;
  return state_change(handle, changes, count, nullptr, 0, done, user);
}

hws_status FakeHostTables::state_change(hws_ctx* handle, const hws_kv* changes, std::size_t count,
                                        const hws_str* removed, std::size_t removed_count,
                                        void (*done)(void*, hws_status), void* user) {
  FakeHost& host = of(handle);
  if (host.wrong_thread("state change")) return HWS_E_THREAD;
  ++host.effects;
  if ((!changes && count > 0) || (!removed && removed_count > 0) || count + removed_count == 0 || count > kKeysMax ||
      removed_count > kKeysMax)
    return host.invalid("state put", "no changes, or more than 1024");
  auto next = host.state_now_;
  std::set<std::string> keys;
  constexpr const char* kWrong = "a key of another length than 1 to 128 bytes or there twice, or a value over 64 KiB";
  for (std::size_t i = 0; i < count; ++i) {
    const auto& [key, value] = changes[i];
    if (key.len == 0 || key.len > kKeyBytesMax || value.len > kValueBytesMax || !keys.insert(text(key)).second)
      return host.invalid("state put", kWrong);
    next[text(key)] = text(value);
  }
  for (std::size_t i = 0; i < removed_count; ++i) {
    if (removed[i].len == 0 || removed[i].len > kKeyBytesMax || !keys.insert(text(removed[i])).second)
      return host.invalid("state put", kWrong);
    next.erase(text(removed[i]));
  }
  if (next.size() > kKeysMax || bytes_of(next) > kStateBytesMax || host.state_full) return HWS_E_NOMEM;
  host.state_now_ = next;
  host.later([&host, next, done, user, losses = host.state_losses_] {
    bool written = losses == host.state_losses_ && !host.disk_full;
    if (written) {
      host.state = next;
    } else if (losses == host.state_losses_) {  // those that follow it are lost with it
      ++host.state_losses_;
      host.state_now_ = host.state;
    }
    if (done) done(user, written ? HWS_OK : HWS_E_FAIL);
  });
  return HWS_OK;
}

hws_status FakeHostTables::set_metric(hws_ctx* handle, std::int32_t kind, hws_str name, hws_str unit, double value,
                                      const hws_kv* attributes, std::size_t count) {
  FakeHost& host = of(handle);
  host.not_after_destroy("metric");
  ++host.effects;
  if ((kind != HWS_GAUGE && kind != HWS_COUNTER) || !std::isfinite(value) || (kind == HWS_COUNTER && value < 0))
    return host.invalid("metric", text(name) + ": no kind, no finite number, or a counter below 0");
  if (!is_name(text(name), kNameBytesMax) || unit.len > kUnitBytesMax || count > kAttributesMax)
    return host.invalid(
        "metric", text(name) + ": a name is 1 to 64 of a-z 0-9 _ . , a unit at most 16 bytes, attributes at most 4");
  std::map<std::string, std::string> sorted;
  for (std::size_t i = 0; i < count; ++i) {
    if (!is_name(text(attributes[i].key), kAttributeKeyBytesMax) || attributes[i].value.len > kAttributeValueBytesMax ||
        !sorted.emplace(text(attributes[i].key), text(attributes[i].value)).second)
      return host.invalid(
          "metric",
          text(name) + ": an attribute's key is 1 to 32 of a-z 0-9 _ . and there once, its value at most 64 bytes");
  }
  std::string key = text(name);
  for (const auto& [attribute, content] : sorted)
    key += (key.back() == '"' ? "," : "{") + attribute + "=\"" + content + "\"";
  if (!sorted.empty()) key += "}";
  const std::lock_guard lock(host.mutex_);
  auto& figures = host.figures;
  if (figures.size() >= kFiguresMax && figures.count(key) == 0) {
    host.misuses.push_back("metric() was answered E_NOMEM: " + key + " is one figure more than the 64 of an instance");
    return HWS_E_NOMEM;
  }
  host.hear("figure " + key + " is " + std::to_string(value));
  figures[key] = {kind, value, text(unit)};
  return HWS_OK;
}

}  // namespace hawser::sdk::testing
