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
  static constexpr std::size_t kReachMax = 64;     // beyond it the oldest is forgotten
  static constexpr std::size_t kResultsMax = 256;  // beyond it the oldest is forgotten; the cloud repeats its command

  struct Taken {
    std::optional<std::vector<Offer>> offers;
    bool grants = false;
    std::vector<std::uint64_t> reach;
    std::vector<std::pair<std::string, Result<json::Object>>> results;
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

  Taken take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(waiting_, {});
  }

 private:
  std::mutex mutex_;  // guards waiting_
  Taken waiting_;
};

}  // namespace hawser::connection
