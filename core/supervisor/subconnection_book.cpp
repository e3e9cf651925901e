#include "core/supervisor/subconnection_book.hpp"

#include <algorithm>

#include "core/base/encoding.hpp"
#include "core/base/rfc3339.hpp"

namespace hawser::supervisor {
namespace {

constexpr std::size_t kDropReasonsMax = 16;
constexpr std::size_t kUrlBytesMax = 2048;
constexpr const char* kStates[] = {"waiting_for_grant", "connecting", "ready",   "draining",
                                   "backoff",           "refused",    "revoked", "stopped"};

std::string shown(const json::Object& message, const char* name, std::size_t limit) {
  return printable(json::text_or(message, name), limit);
}

std::optional<std::int64_t> number(const json::Object& message, const char* name) {
  const auto value = json::integer_member(message, name);
  return value ? std::optional<std::int64_t>(*value) : std::nullopt;
}

void take_drops(Subconnection& row, const json::Object& message) {
  const auto drops = json::object_member(message, "dropped");
  if (!drops) return;
  for (const auto& name : drops.value()->getNames()) {
    const std::string reason = printable(name, kReasonBytesMax);
    if (row.dropped.size() >= kDropReasonsMax && row.dropped.count(reason) == 0) continue;
    row.dropped[reason].set(json::integer_or(*drops, name, 0));
  }
}

}  // namespace

void SubconnectionBook::add(const std::string& plugin, const std::string& service) {
  Subconnection& row = rows_[service];
  row.service = service;
  row.plugin = plugin;
  row.since = rfc3339(std::chrono::system_clock::now());
}

void SubconnectionBook::remove(const std::string& plugin) {
  std::erase_if(rows_, [&](const auto& entry) {
    const Subconnection& row = entry.second;
    if (row.plugin != plugin) return false;
    for (const auto& [reason, count] : row.dropped) {
      const bool known = gone_dropped_.size() < kDropReasonsMax || gone_dropped_.count(reason) > 0;
      gone_dropped_[known ? reason : "other"] += count.total();
    }
    gone_buffer_full_ += row.buffer_full.total();
    return true;
  });
}

Subconnection* SubconnectionBook::find(const std::string& service) {
  const auto found = rows_.find(service);
  return found == rows_.end() ? nullptr : &found->second;
}

Result<bool> SubconnectionBook::take(Subconnection& row, const json::Object& message) {
  const std::string state = json::text_or(message, "state");
  if (std::find(std::begin(kStates), std::end(kStates), state) == std::end(kStates))
    return Error{"bad_payload", "an unknown state \"" + printable(state, 32) + "\" of a subconnection"};
  const bool changed = row.state != state;
  row.state = state;
  const std::string since = shown(message, "since", kReasonBytesMax);
  if (changed || !since.empty()) row.since = since.empty() ? rfc3339(std::chrono::system_clock::now()) : since;
  row.url = shown(message, "url", kUrlBytesMax);
  row.failure_reason = shown(message, "failure_reason", kReasonBytesMax);
  row.detail = shown(message, "detail", kDetailBytesMax);
  row.reconnects.set(json::integer_or(message, "reconnects", 0));
  row.sent_messages.set(json::integer_or(message, "sent_messages", 0));
  row.sent_bytes.set(json::integer_or(message, "sent_bytes", 0));
  row.buffer_full.set(json::integer_or(message, "buffer_full_count", 0));
  row.queued_messages = number(message, "queued_messages");
  row.queued_bytes = number(message, "queued_bytes");
  row.spooled_messages = number(message, "spooled_messages");
  row.spooled_bytes = number(message, "spooled_bytes");
  row.acked_seq = number(message, "acked_seq");
  row.rtt_ms = number(message, "rtt_ms");
  take_drops(row, message);
  return changed;
}

std::map<std::string, std::int64_t> SubconnectionBook::host_ended(const std::string& plugin, const std::string& reason,
                                                                  const std::string& detail) {
  std::map<std::string, std::int64_t> lost;
  for (auto& [service, row] : rows_) {
    if (row.plugin != plugin) continue;
    if (const auto left = row.queued_messages.value_or(0) - row.spooled_messages.value_or(0); left > 0) {
      lost[service] = left;
      row.dropped["expired"].add(left);
    }
    row.state = "stopped";
    row.since = rfc3339(std::chrono::system_clock::now());
    row.failure_reason = reason;
    row.detail = detail;
    row.url.clear();
    for (LastingCount* count : {&row.reconnects, &row.sent_messages, &row.sent_bytes, &row.buffer_full})
      count->next_host();
    for (auto& [why, count] : row.dropped) count.next_host();
    row.queued_messages = row.queued_bytes = row.spooled_messages = row.spooled_bytes = std::nullopt;
    row.acked_seq = row.rtt_ms = std::nullopt;
  }
  return lost;
}

std::int64_t SubconnectionBook::dropped(const std::string& reason) const {
  const auto gone = gone_dropped_.find(reason);
  std::int64_t sum = gone == gone_dropped_.end() ? 0 : gone->second;
  for (const auto& [service, row] : rows_) {
    if (const auto found = row.dropped.find(reason); found != row.dropped.end()) sum += found->second.total();
  }
  return std::min(sum, json::kIntegerMax);
}

std::int64_t SubconnectionBook::dropped() const {
  std::int64_t sum = 0;
  for (const auto& [reason, count] : gone_dropped_) sum += count;
  for (const auto& [service, row] : rows_) {
    for (const auto& [reason, count] : row.dropped) sum = std::min(sum + count.total(), json::kIntegerMax);
  }
  return sum;
}

std::int64_t SubconnectionBook::dropped_at_limit() const {
  return std::min(dropped("queue_full") + dropped("spool_full"), json::kIntegerMax);
}

std::int64_t SubconnectionBook::buffer_full() const {
  std::int64_t sum = gone_buffer_full_;
  for (const auto& [service, row] : rows_) sum = std::min(sum + row.buffer_full.total(), json::kIntegerMax);
  return sum;
}

}  // namespace hawser::supervisor
