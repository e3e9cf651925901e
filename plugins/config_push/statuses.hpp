#pragma once

#include <cstdint>
#include <deque>
#include <hawser/plugin.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hawser::config_push {

// What the cloud has to learn: on disk, each with the number that it will be sent under, before the host is asked to take
// it. After a restart the number that comes next tells whether it was taken, so none is lost and none is sent twice.
// Owned by ConfigPush; on the service thread.
class Statuses {
 public:
  struct Status {
    std::string_view revision, state, reason, detail, diff;  // the last three may be empty
  };

  Statuses(sdk::Context& host, const std::string& state_folder);

  void use(sdk::Subconnection& cloud) { cloud_ = &cloud; }
  // Returns a ticket for is_waiting().
  std::uint64_t add(const Status& status);
  // Of the revision at work: one that was added before the last restart is not added again (ticket 0).
  std::uint64_t add_once(const Status& status);
  void new_revision() { told_.clear(); }
  void resumed(std::uint64_t next_number);
  void send_waiting();  // when there is room again
  void acked(std::uint64_t number);
  bool is_waiting(std::uint64_t ticket) const;

 private:
  struct Waiting {
    std::uint64_t ticket;
    std::string text;
    std::uint64_t number = 0;  // 0: not known yet
    bool taken = false;        // by the host
  };
  std::uint64_t add(const Status& status, std::string text);
  void save();

  sdk::Context& host_;
  std::string path_;
  sdk::Subconnection* cloud_ = nullptr;
  std::deque<Waiting> waiting_;
  std::vector<std::string> told_;  // digests of what add_once() took for the revision at work
  std::uint64_t next_ticket_ = 1;
  std::uint64_t next_number_ = 0;  // 0: the host has not told yet
};

}  // namespace hawser::config_push
