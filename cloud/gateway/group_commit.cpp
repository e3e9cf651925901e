#include "cloud/gateway/group_commit.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>
#include <optional>
#include <span>

namespace hawser::cloud {
namespace {

// About what it holds in memory: a few KiB of zstd may be 16 MiB of it.
std::size_t weight_of(const Effect& effect) {
  if (const auto* points = std::get_if<std::vector<MetricPoint>>(&effect)) {
    std::size_t bytes = points->size() * sizeof(MetricPoint);
    for (const MetricPoint& point : *points) bytes += point.name.size() + point.unit.size() + point.attributes.size();
    return bytes;
  }
  if (const auto* chunk = std::get_if<LogChunk>(&effect)) return chunk->body.size();
  if (const auto* status = std::get_if<ConfigStatus>(&effect)) return status->diff.size() + status->detail.size();
  return 0;
}

}  // namespace

void GroupCommit::add(ReceivedMessage message, std::size_t bytes, const std::weak_ptr<CommitListener>& listener,
                      Now now) {
  const bool first = messages_.empty();
  bytes_ += std::max(bytes, weight_of(message.effect));
  messages_.push_back(std::move(message));
  listeners_.push_back(listener);
  if (bytes_ >= kBytesMax || messages_.size() >= kMessagesMax) {
    flush(now);
  } else if (first) {
    arm_();
  }
}

void GroupCommit::flush(Now now) {
  if (messages_.empty()) return;
  std::vector<ReceivedMessage> messages;
  std::vector<std::weak_ptr<CommitListener>> listeners;
  messages.swap(messages_);
  listeners.swap(listeners_);
  bytes_ = 0;
  // Per listener the highest number that is stored, or nothing where its messages could not be.
  std::map<std::shared_ptr<CommitListener>, std::optional<Seq>> outcome;
  const auto store = [&](std::span<const ReceivedMessage> part) {
    try {
      store_.commit_received(part, now.wall);
      return true;
    } catch (const std::exception& error) {
      spdlog::error("{} messages could not be stored: {}", part.size(), error.what());
      return false;
    }
  };
  const bool all = store(messages);
  for (std::size_t i = 0; i < messages.size(); ++i) {
    // One that cannot be stored must not cost the others theirs: then each goes alone, and a stream stops at its fault.
    const auto listener = listeners[i].lock();
    const auto known = outcome.find(listener);
    const bool failed_before = !all && known != outcome.end() && !known->second;
    const bool stored = all || (!failed_before && store({&messages[i], 1}));
    if (listener) outcome[listener] = stored ? std::optional(messages[i].last) : std::nullopt;
  }
  for (const auto& [listener, seq] : outcome) seq ? listener->on_committed(*seq) : listener->on_commit_failed();
}

}  // namespace hawser::cloud
