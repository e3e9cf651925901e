#pragma once

#include <atomic>
#include <deque>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "core/base/loop.hpp"
#include "core/supervisor/plugin_store.hpp"

namespace hawser::supervisor {

// The versions of a plugin among which is chosen: the one that is wanted, and, where those are others, the one that has
// proved itself and the one on probation. Where nobody remembers which one has, `settled` is the oldest that verifies.
struct Candidates {
  FoundPlugin newest;
  std::optional<FoundPlugin> settled;
  std::optional<FoundPlugin> trial;
};

struct LookRequest {
  std::filesystem::path plugin_dir;
  std::string id;
  std::string settled;  // a version; empty: nobody remembers one
  std::string trial;    // a version; empty: none
  TrustRules rules;
  bool only_settled = false;  // the others are not read
};

// Reads and verifies the files. Blocks on the disk; any thread.
Candidates read_candidates(const LookRequest& request);
// The same, where the wanted one is there already.
void read_others(const LookRequest& request, Candidates& candidates);

// The same on a thread of its own, since a plugin may have 512 MiB and the loop must not wait for them; one at a time, in
// the order of asking. Owned by the supervisor; ask() and what it calls back live on the loop's thread.
class VersionLook {
 public:
  using Done = std::function<void(Candidates)>;
  static constexpr std::size_t kWaitingMax = 32;

  explicit VersionLook(Loop& loop) : loop_(loop) {}
  VersionLook(const VersionLook&) = delete;
  VersionLook& operator=(const VersionLook&) = delete;
  ~VersionLook();

  // False: too many wait already. After the destructor nothing is called back, and what is being read is given up.
  [[nodiscard]] bool ask(LookRequest request, Done done);
  bool is_full() const { return waiting_.size() >= kWaitingMax; }
  // For what is no outsider's wish.
  void ask_in_any_case(LookRequest request, Done done);

 private:
  void begin();
  void finish(Candidates candidates);

  Loop& loop_;
  struct Waiting {
    LookRequest request;
    Done done;
  };
  std::deque<Waiting> waiting_;  // the first one is being read
  std::thread reading_;
  std::atomic<bool> ending_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // what was posted may run after our end
};

}  // namespace hawser::supervisor
