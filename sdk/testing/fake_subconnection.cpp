#include <algorithm>

#include "fake_host.hpp"

namespace hawser::sdk::testing {

namespace {
constexpr std::size_t kOutboxBytesDefault = 8 * 1024 * 1024;

hws_str view(std::string_view text) { return {text.data(), text.size()}; }

hws_status append_to_string(void* to, const void* data, std::size_t size) {
  static_cast<std::string*>(to)->append(static_cast<const char*>(data), size);
  return HWS_OK;
}
}  // namespace

std::size_t FakeSubconnection::unacknowledged_bytes() const {
  std::size_t bytes = 0;
  for (const auto& message : waiting_) bytes += message.data.size();
  return bytes;
}

void FakeSubconnection::open(std::string_view about) {
  open_ = true;
  host_->timed([&] { events_.opened ? events_.opened(user_, handle(), view(about)) : void(); });
}

void FakeSubconnection::close(std::string_view reason, std::string_view detail, std::uint32_t retry_ms) {
  open_ = false;
  host_->timed([&] {
    if (events_.closed) events_.closed(user_, handle(), view(reason), view(detail), retry_ms);
  });
}

void FakeSubconnection::ack(std::uint64_t number) {
  while (!waiting_.empty() && waiting_.front().number <= number) waiting_.pop_front();
  acked = std::max(acked, number);
  host_->timed([&] { events_.acked ? events_.acked(user_, handle(), number) : void(); });
  if (refused_once_ && !outbox_full) writable();
}

void FakeSubconnection::ack_all() {
  if (!waiting_.empty()) ack(waiting_.back().number);
}

void FakeSubconnection::nack(std::uint64_t number, std::string_view code, std::string_view message) {
  host_->timed([&] {
    if (events_.nacked) events_.nacked(user_, handle(), number, view(code), view(message));
  });
}

void FakeSubconnection::text(std::string_view json) {
  host_->timed([&] { events_.text ? events_.text(user_, handle(), view(json)) : void(); });
}

void FakeSubconnection::message(std::string_view data) {
  host_->timed([&] { events_.message ? events_.message(user_, handle(), data.data(), data.size()) : void(); });
}

DurableAnswer FakeSubconnection::durable(std::string_view data, std::uint64_t number, std::string_view stream) {
  if (number == 0) number = next_from_cloud_;
  next_from_cloud_ = std::max(next_from_cloud_, number + 1);
  DurableAnswer answer{HWS_E_INVALID, {}};
  const hws_sink why{&answer.why, append_to_string};
  host_->timed([&] {
    if (events_.durable)
      answer.status = events_.durable(user_, handle(), view(stream), number, data.data(), data.size(), &why);
  });
  return answer;
}

void FakeSubconnection::writable() {
  refused_once_ = false;
  host_->timed([&] { events_.writable ? events_.writable(user_, handle()) : void(); });
}

hws_status FakeSubconnection::take_durable(const void* data, std::size_t size, std::uint32_t flags,
                                           std::uint64_t* number) {
  const std::lock_guard lock(host_->mutex_);
  if (size > max_message_bytes) return HWS_E_INVALID;
  const std::size_t limit = outbox_bytes != 0 ? outbox_bytes : kOutboxBytesDefault;
  if (outbox_full || unacknowledged_bytes() + size > limit) {
    refused_once_ = true;
    return HWS_E_AGAIN;
  }
  const std::uint64_t given = next_number_++;
  durable_sent.push_back({given, std::string(static_cast<const char*>(data), size), flags});
  waiting_.push_back(durable_sent.back());
  if (number) *number = given;
  if (acks_at_once) host_->later([this, given] { ack(given); });
  return HWS_OK;
}

}  // namespace hawser::sdk::testing
