#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

namespace hawser::cloud {

// Counts failures by key in windows of ten minutes. Owned by the gateway, on its thread.
class FailureCounter {
 public:
  static constexpr std::int64_t kWindowMs = 10 * 60 * 1000;
  static constexpr std::size_t kKeysMax = 100'000;

  // Failures of `key` in its present window; the milliseconds until it ends in `left`.
  int count(const std::string& key, std::int64_t now, std::int64_t& left) const {
    const auto found = windows_.find(key);
    if (found == windows_.end() || now >= found->second.ends) return 0;
    left = found->second.ends - now;
    return found->second.failures;
  }

  void add(const std::string& key, std::int64_t now) {
    if (windows_.size() >= kKeysMax) forget_old(now);
    auto& window = windows_[key];
    if (now >= window.ends) window = {now + kWindowMs, 0};
    ++window.failures;
  }

 private:
  struct Window {
    std::int64_t ends = 0;
    int failures = 0;
  };
  // Under an attack with more keys than that, starting anew is the bounded answer; the signature check still stands.
  void forget_old(std::int64_t now) {
    std::erase_if(windows_, [&](const auto& entry) { return now >= entry.second.ends; });
    if (windows_.size() >= kKeysMax) windows_.clear();
  }
  std::unordered_map<std::string, Window> windows_;
};

}  // namespace hawser::cloud
