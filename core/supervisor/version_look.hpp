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

// The versions of a plugin among which is chosen: the one that is wanted, and, where that is another one, the one that
// has proved itself.
struct Candidates {
  FoundPlugin newest;
  std::optional<FoundPlugin> settled;
};

struct LookRequest {
  std::filesystem::path plugin_dir;
  std::string id;
  std::string settled;  // a version; empty: none has run yet
  TrustRules rules;
};

// Reads and verifies the files. Blocks on the disk; any thread.
Candidates read_candidates(const LookRequest& request);

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

  // False: too many wait already. After the destructor nothing is called back.
  [[nodiscard]] bool ask(LookRequest request, Done done);

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
