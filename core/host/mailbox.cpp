#include "core/host/mailbox.hpp"

namespace hawser::host {
namespace {

std::size_t best_effort_bytes(const Mailbox::Item& item) {
  if (const auto* text = std::get_if<Mailbox::Text>(&item)) return text->json.size() + sizeof(Mailbox::Item);
  if (const auto* data = std::get_if<Mailbox::BestEffort>(&item)) return data->payload.size() + sizeof(Mailbox::Item);
  return 0;
}

}  // namespace

void Mailbox::post_if_idle(std::unique_lock<std::mutex>& lock) {
  if (posted_) return;
  posted_ = true;
  unasked_ = false;
  lock.unlock();
  if (post_()) return;
  lock.lock();
  posted_ = false;
  unasked_ = true;
}

namespace {
// Cumulative: the newest says it all.
template <typename Kind>
bool replaced(std::deque<Mailbox::Item>& items, const Mailbox::Item& item) {
  const auto* const newer = std::get_if<Kind>(&item);
  auto* const last = items.empty() ? nullptr : std::get_if<Kind>(&items.back());
  if (!newer || !last) return false;
  last->ticket = newer->ticket;
  return true;
}
}  // namespace

void Mailbox::put(Item item) {
  std::unique_lock lock(mutex_);
  if (!replaced<Acked>(items_, item) && !replaced<Accepted>(items_, item)) items_.push_back(std::move(item));
  post_if_idle(lock);
}

bool Mailbox::put_best_effort(Item item) {
  std::unique_lock lock(mutex_);
  const std::size_t more = best_effort_bytes(item);
  if (best_effort_bytes_ + more > bytes_max_) {
    if (!full_) ++full_count_;
    full_ = true;
    return false;
  }
  best_effort_bytes_ += more;
  items_.push_back(std::move(item));
  post_if_idle(lock);
  return true;
}

void Mailbox::put_durable(Inbound message) {
  std::unique_lock lock(mutex_);
  durables_.push_back(std::move(message));
  if (durable_is_due()) post_if_idle(lock);
}

std::uint64_t Mailbox::reset_durable() {
  const std::lock_guard lock(mutex_);
  durables_.clear();
  blocked_ = false;
  return held_;
}

bool Mailbox::retry() {
  std::unique_lock lock(mutex_);
  if (unasked_) post_if_idle(lock);
  if (!lock.owns_lock()) return false;
  return unasked_;
}

std::optional<Mailbox::Item> Mailbox::take() {
  const std::lock_guard lock(mutex_);
  if (items_.empty()) return std::nullopt;
  Item item = std::move(items_.front());
  items_.pop_front();
  best_effort_bytes_ -= best_effort_bytes(item);
  if (best_effort_bytes_ <= bytes_max_ / 4 * 3) full_ = false;
  return item;
}

std::uint64_t Mailbox::full_count() {
  const std::lock_guard lock(mutex_);
  return full_count_;
}

std::optional<Inbound> Mailbox::take_durable() {
  const std::lock_guard lock(mutex_);
  if (!durable_is_due()) return std::nullopt;
  Inbound message = std::move(durables_.front());
  durables_.pop_front();
  held_ = message.number;
  return message;
}

bool Mailbox::settled(Verdict verdict) {
  std::unique_lock lock(mutex_);
  held_ = 0;
  if (verdict == Verdict::Again) blocked_ = true;
  if (durable_is_due()) post_if_idle(lock);
  return !lock.owns_lock() || !unasked_;
}

bool Mailbox::finish() {
  const std::lock_guard lock(mutex_);
  if (!items_.empty() || durable_is_due()) return false;
  posted_ = false;
  return true;
}

}  // namespace hawser::host
