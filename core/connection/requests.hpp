#pragma once

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/connection/main_connection.hpp"

namespace hawser::connection {

// What other threads ask of the connection thread, bounded: the newest list wins, the rest has a limit. Any thread.
class Requests {
 public:
  static constexpr std::size_t kReachMax = 64;       // beyond it the oldest is forgotten
  static constexpr std::size_t kProfileResultsMax = 8;  // beyond it the oldest is forgotten
  static constexpr std::size_t kUnbindingsMax = 16;  // beyond it the next is refused
  static constexpr std::size_t kResultsMax = 256;    // beyond it the oldest is forgotten; the cloud repeats its command

  struct Unbinding {
    std::uint64_t id = 0;
    std::string code;
  };
  struct Taken {
    std::optional<std::vector<Offer>> offers;
    bool grants = false;
    std::vector<std::uint64_t> reach;
    std::vector<std::pair<std::string, Result<json::Object>>> results;
    std::vector<std::string> profile_results;  // as they are sent
    std::vector<Unbinding> unbindings;
  };
  // Of the configuration, the lease and the network: taken apart from the rest, where it can be acted upon.
  struct Change {
    std::optional<config::Settings> settings;
    std::optional<std::optional<DhcpOffer>> dhcp;
    bool route = false, resumed = false;
  };

  void offers(std::vector<Offer> offers) {
    const std::lock_guard lock(mutex_);
    waiting_.offers = std::move(offers);
  }
  void grants() {
    const std::lock_guard lock(mutex_);
    waiting_.grants = true;
  }
  void reach(std::uint64_t id) {
    const std::lock_guard lock(mutex_);
    if (waiting_.reach.size() == kReachMax) waiting_.reach.erase(waiting_.reach.begin());
    waiting_.reach.push_back(id);
  }
  void result(std::string id, Result<json::Object> result) {
    const std::lock_guard lock(mutex_);
    if (waiting_.results.size() == kResultsMax) waiting_.results.erase(waiting_.results.begin());
    waiting_.results.emplace_back(std::move(id), std::move(result));
  }
  void profile_result(std::string message) {
    const std::lock_guard lock(mutex_);
    auto& waiting = waiting_.profile_results;
    if (waiting.size() == kProfileResultsMax) waiting.erase(waiting.begin());
    waiting.push_back(std::move(message));
  }

  bool unbind(std::uint64_t id, std::string code) {  // false: too many wait
    const std::lock_guard lock(mutex_);
    if (waiting_.unbindings.size() == kUnbindingsMax) return false;
    waiting_.unbindings.push_back({id, std::move(code)});
    return true;
  }
  void configure(config::Settings settings) {
    const std::lock_guard lock(mutex_);
    change().settings = std::move(settings);
  }
  void dhcp(std::optional<DhcpOffer> offer) {
    const std::lock_guard lock(mutex_);
    change().dhcp = std::move(offer);
  }
  void network(NetworkChange what) {
    const std::lock_guard lock(mutex_);
    (what == NetworkChange::Resumed ? change().resumed : change().route) = true;
  }

  std::optional<Change> take_change() {
    const std::lock_guard lock(mutex_);
    return std::exchange(change_, std::nullopt);
  }

  Taken take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(waiting_, {});
  }

 private:
  Change& change() {
    if (!change_) change_ = Change();
    return *change_;
  }

  std::mutex mutex_;  // guards the two below
  Taken waiting_;
  std::optional<Change> change_;
};

}  // namespace hawser::connection
