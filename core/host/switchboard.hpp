#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/base/json.hpp"
#include "core/base/waker.hpp"

namespace hawser::host {

// What the core says about a service's grant.
struct CoreWord {
  enum class Kind { Grant, GrantRefused, Revoke, ServerChanged, NetworkChanged, Unbound, Stop } kind = Kind::Grant;
  json::Object grant;
  std::string reason;
  TimePoint at;                // when it arrived; for Stop: when everything has to be over
  std::int64_t spread_s = -1;  // of the reconnect, where the core named one
  bool resumed = false;        // with NetworkChanged: the device slept
};

// Brings the core's words from the control thread straight to the subconnections, so that a revocation is obeyed also
// while the plugin is stuck. Words for a service that the plugin has not opened yet wait here, the newest of them.
// Each function is for any thread.
class Switchboard {
 public:
  using Listener = std::function<void(const CoreWord&)>;  // must not block

  void deliver(const std::string& service, CoreWord word);
  void deliver_to_all(const CoreWord& word);  // what waits is forgotten, except for NetworkChanged
  // The listener gets the word that waits, if any, before this returns. It has to live until forget().
  void listen(const std::string& service, Listener listener);
  void forget(const std::string& service);

 private:
  std::mutex mutex_;  // guards all below
  std::map<std::string, CoreWord> waiting_;
  std::map<std::string, Listener> listeners_;
};

}  // namespace hawser::host
