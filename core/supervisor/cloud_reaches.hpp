#pragma once

#include <functional>
#include <map>
#include <string>

#include "core/base/loop.hpp"
#include "core/base/result.hpp"

namespace hawser::supervisor {

inline constexpr std::size_t kReachesPerPlugin = 8;
inline constexpr milliseconds kReachLimitMax = std::chrono::hours{1};

// Open questions of plugins whether the cloud is reached: each is answered once, by the connection or by its limit.
// Owned by the supervisor, lives on the loop's thread.
class CloudReaches {
 public:
  using Answer = std::function<void(bool ok, const std::string& how)>;

  explicit CloudReaches(Loop& loop) : loop_(loop) {}
  CloudReaches(const CloudReaches&) = delete;
  CloudReaches& operator=(const CloudReaches&) = delete;
  ~CloudReaches();

  // The number to ask the connection with; an Error when the plugin has kReachesPerPlugin open.
  Result<std::uint64_t> open(const std::string& plugin, milliseconds limit, Answer answer);
  void answer(std::uint64_t id, bool ok, const std::string& how);  // unknown ids are fine: they came too late
  void forget(const std::string& plugin);                          // its host is gone, nobody waits any more

 private:
  struct Reach {
    std::string plugin;
    Answer answer;
    Loop::TimerId timer;
  };
  Loop& loop_;
  std::map<std::uint64_t, Reach> open_;
  std::uint64_t last_id_ = 0;
};

}  // namespace hawser::supervisor
