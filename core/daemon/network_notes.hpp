#pragma once

#include <optional>
#include <string>

#include "core/connection/main_connection.hpp"
#include "core/supervisor/rate_limit.hpp"

namespace hawser::daemon {

// Which changes of the network are worth a line of the history: on a router that learns its routes they come all day,
// and would leave no room for anything else. A sleep always is. One thread; time is an argument.
class NetworkNotes {
 public:
  static constexpr double kPerSecond = 1.0 / 600;
  static constexpr double kBurst = 20;

  std::optional<connection::Event> note(connection::NetworkChange change, const std::string& what, TimePoint now) {
    const bool resumed = change == connection::NetworkChange::Resumed;
    if (!resumed && !limit_.allow(now)) return std::nullopt;
    const auto left_out = limit_.take_held_back();
    const std::string before =
        left_out == 0 ? "" : "; " + std::to_string(left_out) + " changes before it are not noted";
    return connection::Event{"network", "", resumed ? "resumed" : "route", what + before};
  }

 private:
  supervisor::RateLimit limit_{kPerSecond, kBurst};
};

}  // namespace hawser::daemon
