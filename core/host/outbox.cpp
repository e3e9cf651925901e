#include "core/host/outbox.hpp"

#include <utility>

#include "core/host/spool.hpp"

namespace hawser::host {
namespace {
constexpr std::size_t kSpoolRecordCost = 64;  // a record's header, and its share of the segments' headers and marks
}

std::size_t Outbox::spool_cost(const Entry& entry) {
  return kSpoolRecordCost + (entry.source ? entry.source->size() : entry.payload.size());
}

bool Outbox::spool_takes(std::size_t more) const {
  if (drop_oldest_) return true;
  return spool_bytes_ + waiting_for_spool_ + more <= spool_bytes_max_ &&
         spool_records_ + entries_.size() < kSpoolRecordsMax;
}

Outbox::Push Outbox::push(std::string payload, bool compressed, std::uint64_t* ticket,
                          std::optional<std::string> source) {
  const std::lock_guard lock(mutex_);
  Entry entry{next_ticket_, std::move(payload), compressed, std::move(source)};
  const std::size_t more = entry.payload.size() + kEntryCost;
  const std::size_t on_disk = spool_cost(entry);
  // A share of the spool, so that what waits in its open segment can never keep it out for good.
  if (more > bytes_max_ || on_disk > spool_bytes_max_ / 2) return Push::NeverFits;
  if (next_ticket_ == 0 || cost() + more > bytes_max_ || !spool_takes(on_disk)) {
    if (!starved_) ++full_count_;
    starved_ = true;
    return Push::Full;
  }
  entries_.push_back(std::move(entry));  // first: without memory for it nothing has changed
  const Entry& taken = entries_.back();
  ++next_ticket_;
  bytes_ += taken.payload.size();
  waiting_for_spool_ += on_disk;
  if (ticket) *ticket = taken.ticket;
  return Push::Taken;
}

void Outbox::open(std::uint64_t next_ticket) {
  const std::lock_guard lock(mutex_);
  next_ticket_ = next_ticket;
}

void Outbox::spool_holds(std::size_t bytes, std::size_t records) {
  const std::lock_guard lock(mutex_);
  spool_bytes_ = bytes;
  spool_records_ = records;
}

std::uint64_t Outbox::first() const {
  const std::lock_guard lock(mutex_);
  return next_ticket_ - entries_.size();
}

std::uint64_t Outbox::next() const {
  const std::lock_guard lock(mutex_);
  return next_ticket_;
}

const Outbox::Entry* Outbox::at(std::uint64_t ticket) const {
  const std::lock_guard lock(mutex_);
  const std::uint64_t first = next_ticket_ - entries_.size();
  if (ticket < first || ticket >= next_ticket_) return nullptr;
  return &entries_[static_cast<std::size_t>(ticket - first)];
}

void Outbox::pop_through(std::uint64_t ticket) {
  const std::lock_guard lock(mutex_);
  while (!entries_.empty() && entries_.front().ticket <= ticket) {
    bytes_ -= entries_.front().payload.size();
    waiting_for_spool_ -= spool_cost(entries_.front());
    entries_.pop_front();
  }
}

void Outbox::discard() {
  const std::lock_guard lock(mutex_);
  entries_.clear();
  bytes_ = waiting_for_spool_ = 0;
}

bool Outbox::take_writable() {
  const std::lock_guard lock(mutex_);
  if (!starved_ || next_ticket_ == 0) return false;
  // A quarter must be free, so that a plugin is not woken for every message.
  if (!entries_.empty() && cost() > bytes_max_ / 4 * 3) return false;
  if (spool_bytes_ > 0 && !spool_takes(spool_bytes_max_ / 4)) return false;
  starved_ = false;
  return true;
}

std::size_t Outbox::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_ + entries_.size() * kHeaderBytes;
}

std::size_t Outbox::messages() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
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
