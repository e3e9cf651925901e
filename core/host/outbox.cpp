#include "core/host/outbox.hpp"

#include <algorithm>
#include <utility>

namespace hawser::host {

Outbox::Push Outbox::push(std::string payload, bool compressed, std::uint64_t* ticket) {
  const std::lock_guard lock(mutex_);
  const std::size_t more = payload.size() + kEntryCost;
  if (more > bytes_max_) return Push::NeverFits;
  if (cost() + more > bytes_max_) {
    if (!starved_) ++full_count_;
    starved_ = true;
    return Push::Full;
  }
  Entry entry{++last_ticket_, std::move(payload), 0, compressed, false};
  entry.wire_bytes = entry.payload.size() + kHeaderBytes;
  bytes_ += entry.payload.size();
  if (ticket) *ticket = entry.ticket;
  entries_.push_back(std::move(entry));
  return Push::Taken;
}

std::uint64_t Outbox::first() const {
  const std::lock_guard lock(mutex_);
  return first_;
}

std::uint64_t Outbox::next() const {
  const std::lock_guard lock(mutex_);
  return first_ + entries_.size();
}

std::optional<std::size_t> Outbox::index_of(std::uint64_t number) const {
  if (number < first_ || number - first_ >= entries_.size()) return std::nullopt;
  return static_cast<std::size_t>(number - first_);
}

const Outbox::Entry* Outbox::at(std::uint64_t number) const {
  const std::lock_guard lock(mutex_);
  const auto index = index_of(number);
  return index ? &entries_[*index] : nullptr;
}

Outbox::Popped Outbox::pop_through(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  Popped popped;
  while (!entries_.empty() && first_ <= number) {
    const Entry& entry = entries_.front();
    bytes_ -= entry.payload.size();
    if (entry.refused) --refused_;
    popped.last_ticket = entry.ticket;
    ++popped.count;
    ++first_;
    entries_.pop_front();
  }
  return popped;
}

std::optional<std::uint64_t> Outbox::refuse(std::uint64_t number) {
  const std::lock_guard lock(mutex_);
  const auto index = index_of(number);
  if (!index || entries_[*index].refused) return std::nullopt;
  Entry& entry = entries_[*index];
  bytes_ -= entry.payload.size();
  entry.payload = std::string();
  entry.refused = true;
  ++refused_;
  return entry.ticket;
}

void Outbox::renumber() {
  const std::lock_guard lock(mutex_);
  entries_.erase(std::remove_if(entries_.begin(), entries_.end(), [](const Entry& entry) { return entry.refused; }),
                 entries_.end());
  refused_ = 0;
  first_ = 1;
}

bool Outbox::take_writable() {
  const std::lock_guard lock(mutex_);
  // A quarter must be free, so that a plugin is not woken for every message.
  if (!starved_ || (!entries_.empty() && cost() > bytes_max_ / 4 * 3)) return false;
  starved_ = false;
  return true;
}

std::size_t Outbox::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_ + entries_.size() * kHeaderBytes;
}

std::size_t Outbox::messages() const {
  const std::lock_guard lock(mutex_);
  return entries_.size() - refused_;
}

std::uint64_t Outbox::full_count() const {
  const std::lock_guard lock(mutex_);
  return full_count_;
}

bool BestEffortQueue::push(Item item) {
  const std::lock_guard lock(mutex_);
  const std::size_t more = item.payload.size() + sizeof(Item);
  if (cost_ + more > bytes_max_) {
    if (!starved_) ++full_count_;
    starved_ = true;
    ++refused_count_;
    return false;
  }
  cost_ += more;
  items_.push_back(std::move(item));
  return true;
}

std::optional<BestEffortQueue::Item> BestEffortQueue::pop() {
  const std::lock_guard lock(mutex_);
  if (items_.empty()) return std::nullopt;
  Item item = std::move(items_.front());
  items_.pop_front();
  cost_ -= item.payload.size() + sizeof(Item);
  return item;
}

std::uint64_t BestEffortQueue::clear() {
  const std::lock_guard lock(mutex_);
  const std::uint64_t left = items_.size();
  items_.clear();
  cost_ = 0;
  return left;
}

bool BestEffortQueue::take_writable() {
  const std::lock_guard lock(mutex_);
  if (!starved_ || cost_ > bytes_max_ / 4 * 3) return false;
  starved_ = false;
  return true;
}

std::size_t BestEffortQueue::bytes() const {
  const std::lock_guard lock(mutex_);
  return cost_ - items_.size() * sizeof(Item);
}

std::size_t BestEffortQueue::messages() const {
  const std::lock_guard lock(mutex_);
  return items_.size();
}

std::uint64_t BestEffortQueue::full_count() const {
  const std::lock_guard lock(mutex_);
  return full_count_;
}

std::uint64_t BestEffortQueue::refused_count() const {
  const std::lock_guard lock(mutex_);
  return refused_count_;
}

}  // namespace hawser::host
