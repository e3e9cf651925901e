#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "cloud/gateway/clock.hpp"
#include "cloud/store/store.hpp"

namespace hawser::cloud {

// Told when its numbers are on stable storage, or that they are not.
class CommitListener {
 public:
  virtual ~CommitListener() = default;
  virtual void on_committed(Seq last) = 0;
  virtual void on_commit_failed() = 0;
};

// Collects what all subconnections received and stores it in one transaction, so that one wait for the disk serves many
// messages. Owned by the hub, on its thread. An acknowledgement goes out only after flush() returned from the disk.
class GroupCommit {
 public:
  static constexpr int kDelayMs = 50;  // the protocol allows 200
  static constexpr std::size_t kBytesMax = 1 << 20;
  static constexpr std::size_t kMessagesMax = 4096;

  // `arm` is called when a first message waits: flush() is due kDelayMs later.
  GroupCommit(Store& store, std::function<void()> arm) : store_(store), arm_(std::move(arm)) {}

  // May flush at once. `bytes` is the size on the wire; what it unfolded to counts as well.
  void add(ReceivedMessage message, std::size_t bytes, const std::weak_ptr<CommitListener>& listener, Now now);
  void flush(Now now);
  bool empty() const { return messages_.empty(); }

 private:
  Store& store_;
  std::function<void()> arm_;
  std::vector<ReceivedMessage> messages_;
  std::vector<std::weak_ptr<CommitListener>> listeners_;  // beside messages_
  std::size_t bytes_ = 0;
};

}  // namespace hawser::cloud
