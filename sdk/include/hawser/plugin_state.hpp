// hawser/plugin_state.hpp - the private state of a plugin. Include hawser/plugin.hpp.
#pragma once

#include <hawser/plugin.h>

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hawser::sdk {

class Context;

// An hws_sink's write() that appends to the std::string `to`.
inline hws_status append_to_string(void* to, const void* data, std::size_t size) noexcept {
  try {
    static_cast<std::string*>(to)->append(static_cast<const char*>(data), size);
    return HWS_OK;
  } catch (...) {
    return HWS_E_NOMEM;
  }
}

// The private state: small values by key that survive restarts, upgrades and power cuts; hws_host_state in plugin.h has
// the limits. Owned by its Context.
class State {
 public:
  struct Change {
    std::string_view key;
    std::optional<std::string_view> value;  // nothing: the key is removed
  };
  using Visit = std::function<void(std::string_view key, std::string_view value)>;
  using Done = std::function<void(bool written)>;

  std::optional<std::string> get(std::string_view key) const;
  // In the order of the keys' bytes; what is put meanwhile is not seen.
  void each(std::string_view prefix, const Visit& visit) const;
  // All or nothing. get() sees it at once; on stable storage when `done` comes with true. With false nothing of it has
  // happened. Throws E_AGAIN when too many wait for the disk, E_NOMEM when the state would be too big.
  void put(std::span<const Change> changes, Done done = {});
  void put(std::string_view key, std::string_view value, Done done = {}) {
    const Change change{key, value};
    put({&change, 1}, std::move(done));
  }
  void remove(std::string_view key, Done done = {}) {
    const Change change{key, std::nullopt};
    put({&change, 1}, std::move(done));
  }

 private:
  friend class Context;
  struct PutCall {
    State* state;
    Done done;
  };
  State(Context& context, const hws_host_state* table, hws_ctx* handle)
      : context_(context), table_(table), handle_(handle) {}

  Context& context_;
  const hws_host_state* table_;
  hws_ctx* handle_;
  std::vector<std::unique_ptr<PutCall>> puts_;
};

}  // namespace hawser::sdk
