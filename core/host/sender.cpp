#include "core/host/sender.hpp"

#include <algorithm>
#include <array>

namespace hawser::host {
namespace {

constexpr std::size_t kNackedMax = 1000;     // in a welcome
constexpr std::size_t kWordsBytesMax = 512;  // of a refusal

std::array<char, kHeaderBytes> header(unsigned char kind, std::uint64_t number) {
  std::array<char, kHeaderBytes> bytes{};
  bytes[0] = static_cast<char>(kind);
  for (std::size_t i = 0; i < 8; ++i) bytes[8 - i] = static_cast<char>((number >> (8 * i)) & 0xff);
  return bytes;
}

Fault policy(const std::string& detail) { return {1008, "policy", detail}; }

}  // namespace

Sender::Sender(Outbox& outbox, BestEffortQueue& queue, SessionEvents& events, std::function<std::string()> make_stream)
    : outbox_(outbox), queue_(queue), events_(events), make_stream_(std::move(make_stream)), stream_(make_stream_()) {}

json::Object Sender::hello(const Limits& limits) {
  limits_ = limits;
  hello_next_ = outbox_.next();
  auto message = control_message("hello");
  message->set("stream", stream_);
  message->set("next_seq", hello_next_);
  return message;
}

std::optional<Fault> Sender::welcome(const json::Object& message, TimePoint now) {
  const auto acked = json::integer_member(message, "acked");
  if (!acked) return policy("welcome: " + acked.error().message);
  const auto nacked = json::array_member(message, "nacked", kNackedMax);
  if (!nacked) return policy("welcome: " + nacked.error().message);
  const auto cloud_has = static_cast<std::uint64_t>(*acked);
  const std::uint64_t known = outbox_.first() - 1;
  // Beyond what was ever sent it cannot be our stream that the cloud remembers, also where the number itself exists.
  if (cloud_has < known || cloud_has >= hello_next_ || cloud_has > last_sent_ever_) return begin_new_stream(cloud_has);
  for (std::size_t i = 0; i < (*nacked)->size(); ++i) {
    const Poco::Dynamic::Var number = (*nacked)->get(static_cast<unsigned>(i));
    if (!number.isInteger() || number.isBoolean()) return policy("welcome: nacked holds something that is no number");
    const auto wire_number = number.convert<std::int64_t>();
    if (wire_number <= 0) continue;
    if (const auto ticket = outbox_.refuse(static_cast<std::uint64_t>(wire_number))) {
      events_.on_nacked(*ticket, "nacked", "refused on an earlier connection");
      events_.on_dropped("nacked", 1, "refused on an earlier connection");
    }
  }
  open_ = true;
  next_ = cloud_has + 1;
  acked_through(cloud_has, now);
  return std::nullopt;
}

Fault Sender::begin_new_stream(std::uint64_t cloud_has) {
  const std::uint64_t known = outbox_.first() - 1;
  const std::string detail = "the cloud says it stored up to " + std::to_string(cloud_has) + ", this end knows of " +
                             std::to_string(known) + " acknowledged and gives " + std::to_string(hello_next_) + " next";
  if (cloud_has < known) events_.on_dropped("cloud_state_lost", known - cloud_has, detail);
  outbox_.renumber();
  stream_ = make_stream_();
  last_sent_ever_ = 0;
  return {1000, "cloud_state_lost", detail};
}

std::optional<Fault> Sender::ack(const json::Object& message, TimePoint now) {
  const auto seq = json::integer_member(message, "seq");
  if (!seq) return policy("ack: " + seq.error().message);
  const auto number = static_cast<std::uint64_t>(*seq);
  if (number >= next_) return policy("ack: " + std::to_string(number) + " was not sent yet");
  acked_through(number, now);
  return std::nullopt;
}

std::optional<Fault> Sender::nack(const json::Object& message) {
  const auto seq = json::integer_member(message, "seq", 1);
  if (!seq) return policy("nack: " + seq.error().message);
  const auto code = json::text_member(message, "code");
  if (!code) return policy("nack: " + code.error().message);
  const auto number = static_cast<std::uint64_t>(*seq);
  if (number >= next_) return policy("nack: " + std::to_string(number) + " was not sent yet");
  const std::string words = json::text_or(message, "message").substr(0, kWordsBytesMax);
  if (const auto ticket = outbox_.refuse(number)) {
    events_.on_nacked(*ticket, *code, words);
    events_.on_dropped("nacked", 1, *code + ": " + words);
  }
  return std::nullopt;
}

void Sender::acked_through(std::uint64_t number, TimePoint now) {
  const Outbox::Popped popped = outbox_.pop_through(number);
  if (popped.count == 0) return;
  for (std::uint64_t i = 0; i < popped.count && !flight_.empty(); ++i) {
    flight_bytes_ -= flight_.front();
    flight_.pop_front();
  }
  ack_due_ = flight_.empty() ? TimePoint::max() : now + kAckLimit;
  acked_ticket_ = popped.last_ticket;
  events_.on_acked(popped.last_ticket);
}

bool Sender::window_takes(std::size_t bytes) const {
  if (flight_.empty()) return true;  // one message always, else a small window would stop the stream for good
  return flight_.size() < limits_.in_flight_messages && flight_bytes_ + bytes <= limits_.in_flight_bytes;
}

void Sender::pump(Wire& wire, TimePoint now) {
  if (!open_) return;
  bool more = true;
  while (more && wire.writable()) {
    const bool one = send_one_best_effort(wire);
    more = send_one_durable(wire, now) || one;
  }
}

bool Sender::send_one_best_effort(Wire& wire) {
  const auto item = queue_.pop();
  if (!item) return false;
  const bool is_text = item->kind == BestEffortQueue::Item::Kind::Text;
  const std::size_t bytes = item->payload.size() + (is_text ? 0 : kHeaderBytes);
  if (bytes > limits_.message_bytes) {
    events_.on_dropped("too_big", 1,
                       std::to_string(bytes) + " bytes; the grant allows " + std::to_string(limits_.message_bytes));
    return true;
  }
  if (is_text) {
    wire.send_text(item->payload);
  } else {
    const bool compressed = item->kind == BestEffortQueue::Item::Kind::Compressed;
    const auto head = header(kBestEffort | (compressed ? kCompressedBit : 0), 0);
    wire.send_binary({head.data(), head.size()}, item->payload);
  }
  ++sent_messages_;
  sent_bytes_ += bytes;
  return true;
}

bool Sender::send_one_durable(Wire& wire, TimePoint now) {
  const Outbox::Entry* const entry = outbox_.at(next_);
  if (!entry) return false;
  const bool too_big = entry->wire_bytes > limits_.message_bytes;
  const bool skip = entry->refused || too_big;
  const std::size_t bytes = skip ? 0 : entry->wire_bytes;
  if (!window_takes(bytes)) return false;
  if (flight_.empty()) ack_due_ = now + kAckLimit;
  flight_.push_back(bytes);
  flight_bytes_ += bytes;
  if (skip) {
    send_skipped(wire, entry->refused ? "nacked" : "too_big");
  } else {
    send_payload(wire, *entry);
  }
  last_sent_ever_ = std::max(last_sent_ever_, next_);
  ++next_;
  return true;
}

void Sender::send_payload(Wire& wire, const Outbox::Entry& entry) {
  const auto head = header(kDurable | (entry.compressed ? kCompressedBit : 0), next_);
  wire.send_binary({head.data(), head.size()}, entry.payload);
  ++sent_messages_;
  sent_bytes_ += entry.wire_bytes;
}

void Sender::send_skipped(Wire& wire, const std::string& reason) {
  auto message = control_message("skipped");
  message->set("from", next_);
  message->set("to", next_);
  message->set("reason", reason);
  wire.send_text(json::to_text(message));
  if (const auto ticket = outbox_.refuse(next_)) {
    events_.on_nacked(*ticket, reason, "longer than the grant allows");
    events_.on_dropped(reason, 1, "a durable message is longer than the grant allows");
  }
}

void Sender::disconnected() {
  open_ = false;
  flight_.clear();
  flight_bytes_ = 0;
  ack_due_ = TimePoint::max();
  const std::uint64_t left = queue_.clear();
  if (left > 0) events_.on_dropped("expired", left, "best-effort messages that waited when the connection ended");
}

}  // namespace hawser::host
