#pragma once

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "core/host/private_state_file.hpp"
#include "hawser/plugin.h"

namespace hawser::host {

inline constexpr std::size_t kStatePutsMax = 256;  // that wait for the disk

// A plugin's private state (hws.state/1). What it holds is in memory; a thread of its own, started by the first put(), takes
// it to the disk, so that the service thread never waits. Puts that come meanwhile are written together, as one.
// Owned by Instance; functions are for the service thread.
class PrivateState {
 public:
  using Task = std::function<void()>;
  struct Surroundings {
    std::function<bool(Task)> post;         // to the service thread, from any; false: full
    std::function<void(const Task&)> call;  // into the plugin
    std::function<void(const std::string&)> complain;
    Task on_idle;  // nothing waits for the disk any more
  };

  PrivateState(std::filesystem::path file, Surroundings around) : file_(std::move(file)), around_(std::move(around)) {}
  PrivateState(const PrivateState&) = delete;
  PrivateState& operator=(const PrivateState&) = delete;
  ~PrivateState();  // what waits is not written

  Status load();  // before everything else
  // A copy of what it holds, for the return of `version`; what is on its way to the disk with it.
  Status keep_copy(const std::filesystem::path& copy, const std::string& version) const {
    return keep_state(copy, version, *current_);
  }
  bool idle() const { return !writing_; }

  using Visit = hws_status (*)(void* user, hws_str key, hws_str value);
  using Done = void (*)(void* user, hws_status status);
  hws_status get(std::string_view key, const hws_sink* out) const;
  hws_status each(std::string_view prefix, Visit fn, void* user) const;
  struct Removed {
    const hws_str* keys = nullptr;
    std::size_t count = 0;
  };
  hws_status put(const hws_kv* changes, std::size_t count, Done done, void* user) {
    return change(changes, count, {}, done, user);
  }
  hws_status change(const hws_kv* changes, std::size_t count, Removed removed, Done done, void* user);

 private:
  using Snapshot = std::shared_ptr<const StateEntries>;
  using Waiting = std::pair<Done, void*>;

  void begin_write();
  void finish(const Status& written);
  void tell(const std::vector<Waiting>& puts, hws_status status);
  void write_on();  // the thread

  const std::filesystem::path file_;
  const Surroundings around_;
  Snapshot current_ = std::make_shared<StateEntries>();  // what get() tells
  Snapshot durable_ = current_;                          // what is on disk
  Snapshot writing_;                                     // on its way there
  std::vector<Waiting> in_flight_, waiting_;             // puts in writing_, and after it

  std::thread writer_;
  std::mutex mutex_;  // guards the two below
  Snapshot to_write_;
  bool ending_ = false;
  std::condition_variable news_;
};

}  // namespace hawser::host
