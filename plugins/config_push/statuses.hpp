#pragma once

#include <cstdint>
#include <deque>
#include <hawser/plugin.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace hawser::config_push {

// What the cloud has to learn: on disk until the cloud acknowledged it, so that it learns why though the device
// restarts meanwhile. Owned by ConfigPush; on the service thread.
class Statuses {
 public:
  struct Status {
    std::string_view revision, state, reason, detail, diff;  // the last three may be empty
  };

  Statuses(sdk::Context& host, const std::string& state_folder);

  void use(sdk::Subconnection& cloud) { cloud_ = &cloud; }
  // Returns a ticket for is_waiting().
  std::uint64_t add(const Status& status);
  void send_waiting();  // at open and when there is room again
  void acked(std::uint64_t number);
  bool is_waiting(std::uint64_t ticket) const;

 private:
  struct Waiting {
    std::uint64_t ticket;
    std::string text;
    std::optional<std::uint64_t> number;  // once sent
  };
  void save() const;

  sdk::Context& host_;
  std::string path_;
  sdk::Subconnection* cloud_ = nullptr;
  std::deque<Waiting> waiting_;
  std::uint64_t next_ticket_ = 1;
};

}  // namespace hawser::config_push
