#include <algorithm>
#include <stdexcept>

#include "fake_host_tables.hpp"

namespace hawser::sdk::testing {

namespace {
constexpr std::size_t kOutboxBytesDefault = 8 * 1024 * 1024;

hws_str view(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

void FakeSubconnection::hear(const std::string& what) const { host_->hear(service + ": " + what); }

FakeSpool& FakeSubconnection::spool() const { return host_->spools[service]; }

std::size_t FakeSubconnection::unacknowledged() const { return spool().records.size(); }

std::size_t FakeSubconnection::unacknowledged_bytes() const {
  std::size_t bytes = 0;
  for (const auto& record : spool().records) bytes += record.message.data.size();
  return bytes;
}

void FakeSubconnection::resume() {
  if (resumed_) return;
  resumed_ = true;
  const std::uint64_t next = spool().next;
  for (const auto& record : std::deque<FakeSpool::Record>(spool().records)) {
    if (!record.source || !events_.found) continue;
    host_->timed("found()", [&] { events_.found(user_, handle(), record.message.number, view(*record.source)); });
  }
  host_->timed("resumed()", [&] { events_.resumed ? events_.resumed(user_, handle(), next) : void(); });
  if (refused_once_ && !outbox_full) writable();
}

void FakeSubconnection::send_again() {
  if (sent_again_) return;
  sent_again_ = true;
  for (const auto& record : std::deque<FakeSpool::Record>(spool().records)) {
    const auto& message = record.message;
    if (!durable_sent.empty() && message.number >= durable_sent.front().number) return;
    if (!record.source || ask_source(message.number) == message.data) {
      resent.push_back(message);
    } else {
      expired.push_back(message.number);
      nack(message.number, "expired", "the plugin has not the same bytes any more");
    }
  }
}

std::optional<std::string> FakeSubconnection::ask_source(std::uint64_t number) {
  std::optional<std::string> source;
  for (const auto& record : spool().records) {
    if (record.message.number == number) source = record.source;
  }
  if (!source) throw std::runtime_error("number " + std::to_string(number) + " was not sent by send_source()");
  std::string bytes;
  const hws_sink out{&bytes, append_to_string};
  hws_status status = HWS_E_FAIL;
  host_->timed("source()", [&] { status = events_.source(user_, handle(), number, view(*source), &out); });
  return status == HWS_OK ? std::optional(bytes) : std::nullopt;
}

void FakeSubconnection::open(std::string_view about) {
  resume();
  open_ = true;
  hear("opened " + std::string(about));
  host_->timed("opened()", [&] { events_.opened ? events_.opened(user_, handle(), view(about)) : void(); });
  send_again();
}

void FakeSubconnection::accept(std::uint64_t number) {
  resume();
  if (number <= spool().accepted || number >= spool().next) return;
  spool().accepted = number;
  host_->timed("accepted()", [&] { events_.accepted ? events_.accepted(user_, handle(), number) : void(); });
}

void FakeSubconnection::close(std::string_view reason, std::string_view detail, std::uint32_t retry_ms) {
  open_ = false;
  hear("closed " + std::string(reason) + ", again in " + std::to_string(retry_ms) + " ms");
  host_->timed("closed()", [&] {
    if (events_.closed) events_.closed(user_, handle(), view(reason), view(detail), retry_ms);
  });
}

void FakeSubconnection::ack(std::uint64_t number) {
  accept(number);  // only what is in the spool is sent
  acked = std::max(acked, number);
  hear("acked " + std::to_string(number));
  host_->timed("acked()", [&] { events_.acked ? events_.acked(user_, handle(), number) : void(); });
  auto& records = spool().records;
  while (!records.empty() && records.front().message.number <= number) records.pop_front();
  if (refused_once_ && !outbox_full) writable();
}

void FakeSubconnection::ack_all() {
  if (!spool().records.empty()) ack(spool().records.back().message.number);
}

void FakeSubconnection::nack(std::uint64_t number, std::string_view code, std::string_view message) {
  hear("nacked " + std::to_string(number) + " " + std::string(code));
  host_->timed("nacked()", [&] {
    if (events_.nacked) events_.nacked(user_, handle(), number, view(code), view(message));
  });
}

void FakeSubconnection::text(std::string_view json) {
  hear("text " + std::string(json));
  host_->timed("text()", [&] { events_.text ? events_.text(user_, handle(), view(json)) : void(); });
}

void FakeSubconnection::message(std::string_view data) {
  hear("message of " + std::to_string(data.size()) + " bytes");
  host_->timed("message()",
               [&] { events_.message ? events_.message(user_, handle(), data.data(), data.size()) : void(); });
}

DurableAnswer FakeSubconnection::durable(std::string_view data, std::uint64_t number, std::string_view stream) {
  if (number == 0) number = next_from_cloud_;
  next_from_cloud_ = std::max(next_from_cloud_, number + 1);
  DurableAnswer answer{HWS_E_INVALID, {}};
  const hws_sink why{&answer.why, append_to_string};
  host_->timed("durable()", [&] {
    if (events_.durable)
      answer.status = events_.durable(user_, handle(), view(stream), number, data.data(), data.size(), &why);
  });
  hear("durable " + std::to_string(number) + " of " + std::to_string(data.size()) + " bytes, answered " +
       std::to_string(answer.status) + (answer.why.empty() ? "" : ": " + answer.why));
  return answer;
}

void FakeSubconnection::writable() {
  refused_once_ = false;
  hear("writable");
  host_->timed("writable()", [&] { events_.writable ? events_.writable(user_, handle()) : void(); });
}

hws_status FakeSubconnection::take_durable(const void* data, std::size_t size, std::uint32_t flags,
                                           std::uint64_t* number, std::optional<std::string> source) {
  std::unique_lock lock(host_->mutex_);
  ++host_->effects;
  if (size > max_message_bytes) return HWS_E_INVALID;
  const std::size_t limit = outbox_bytes != 0 ? outbox_bytes : kOutboxBytesDefault;
  if (!resumed_ || outbox_full || unacknowledged_bytes() + size > limit) {
    refused_once_ = true;
    ++refused_sends;
    return HWS_E_AGAIN;
  }
  const std::uint64_t given = spool().next++;
  durable_sent.push_back({given, std::string(static_cast<const char*>(data), size), flags});
  spool().records.push_back({durable_sent.back(), std::move(source)});
  if (number) *number = given;
  lock.unlock();
  hear("the plugin sent number " + std::to_string(given) + ", " + std::to_string(size) + " bytes");
  if (accepts_at_once) host_->later([this, given] { accept(given); });
  if (acks_at_once) host_->later([this, given] { ack(given); });
  return HWS_OK;
}

}  // namespace hawser::sdk::testing
