#include "core/host/switchboard.hpp"

namespace hawser::host {
namespace {
constexpr std::size_t kServicesMax = 64;  // sdk/protocol.md §3
}

void Switchboard::deliver(const std::string& service, CoreWord word) {
  const std::lock_guard lock(mutex_);
  const auto listener = listeners_.find(service);
  if (listener != listeners_.end()) {
    listener->second(word);
  } else if (waiting_.size() < kServicesMax || waiting_.count(service) > 0) {
    waiting_[service] = std::move(word);
  }
}

void Switchboard::deliver_to_all(const CoreWord& word) {
  const std::lock_guard lock(mutex_);
  if (word.kind != CoreWord::Kind::NetworkChanged) waiting_.clear();
  for (const auto& [service, listener] : listeners_) listener(word);
}

void Switchboard::listen(const std::string& service, Listener listener) {
  const std::lock_guard lock(mutex_);
  const auto word = waiting_.find(service);
  if (word != waiting_.end()) {
    listener(word->second);
    waiting_.erase(word);
  }
  listeners_[service] = std::move(listener);
}

void Switchboard::forget(const std::string& service) {
  const std::lock_guard lock(mutex_);
  listeners_.erase(service);
}

}  // namespace hawser::host
