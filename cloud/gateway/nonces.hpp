#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_set>

namespace hawser::cloud {

// Nonces without state (a MAC over time and random bytes), and the set of those already spent.
// The key lives as long as the process: after a restart every earlier nonce is stale, so none can be shown twice.
// Owned by the gateway, on its thread. Times in milliseconds on a clock that never goes back.
class Nonces {
 public:
  static constexpr std::int64_t kLifeMs = 5 * 60 * 1000;
  static constexpr std::size_t kSpentMax = 200'000;

  explicit Nonces(std::size_t spent_max = kSpentMax);

  std::string make(std::int64_t now);
  // True once for each nonce that this process made in the last five minutes.
  bool spend(const std::string& nonce, std::int64_t now);
  std::size_t spent_count() const { return spent_.size(); }

 private:
  std::string mac(const std::string& body) const;
  void forget_until(std::int64_t time);

  std::string key_;
  std::size_t spent_max_;
  std::unordered_set<std::string> spent_;
  std::deque<std::pair<std::int64_t, std::string>> order_;  // by the time of spending
  // When the set is full the oldest goes, and everything made before that moment is stale: refused, never spent twice.
  std::int64_t floor_ = -1;
};

}  // namespace hawser::cloud
