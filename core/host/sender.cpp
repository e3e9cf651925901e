#include "core/host/sender.hpp"

#include <algorithm>
#include <array>

namespace hawser::host {
namespace {

constexpr std::size_t kNackedMax = 1000;  // in a welcome

std::array<char, kHeaderBytes> header(unsigned char kind, std::uint64_t number) {
  std::array<char, kHeaderBytes> bytes{};
  bytes[0] = static_cast<char>(kind);
  for (std::size_t i = 0; i < 8; ++i) bytes[8 - i] = static_cast<char>((number >> (8 * i)) & 0xff);
  return bytes;
}

}  // namespace

Sender::Sender(Delivery& delivery, BestEffortQueue& queue, SessionEvents& events, Pace* pace)
    : delivery_(delivery), queue_(queue), events_(events), pace_(pace) {}

json::Object Sender::hello(const Limits& limits) {
  limits_ = limits;
  stream_ = delivery_.stream();
  base_ = delivery_.base();
  hello_next_ = delivery_.end() - std::min(base_, delivery_.end() - 1);
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
  // Beyond what was ever sent it cannot be our stream that the cloud remembers, also where the number itself exists.
  const std::uint64_t last_sent = std::max({last_sent_, delivery_.recovered(), base_}) - base_;
  if (cloud_has < delivery_.acked() - base_ || cloud_has >= hello_next_ || cloud_has > last_sent)
    return begin_new_stream(cloud_has);
  for (std::size_t i = 0; i < (*nacked)->size(); ++i) {
    const Poco::Dynamic::Var number = (*nacked)->get(static_cast<unsigned>(i));
    if (!number.isInteger() || number.isBoolean()) return policy("welcome: nacked holds something that is no number");
    const auto wire_number = number.convert<std::int64_t>();
    if (wire_number <= 0) continue;
    const std::uint64_t ticket = base_ + static_cast<std::uint64_t>(wire_number);
    if (delivery_.refuse(ticket, "nacked")) {
      events_.on_nacked(ticket, "nacked", "refused on an earlier connection");
      events_.on_dropped("nacked", 1, "refused on an earlier connection");
    }
  }
  open_ = true;
  next_ = cloud_has + 1;
  acked_through(cloud_has, now);
  return std::nullopt;
}

Fault Sender::begin_new_stream(std::uint64_t cloud_has) {
  const std::uint64_t known = delivery_.acked() - base_;
  const std::string detail = "the cloud says it stored up to " + std::to_string(cloud_has) + ", this end knows of " +
                             std::to_string(known) + " acknowledged and gives " + std::to_string(hello_next_) + " next";
  if (cloud_has < known) events_.on_dropped("cloud_state_lost", known - cloud_has, detail);
  // The end of the spool was lost, and the cloud has it: then it has all before it too.
  if (cloud_has > known && last_sent_ == 0 && delivery_.recovered() > delivery_.acked()) {
    delivery_.acknowledge(delivery_.recovered());
    acked_ticket_ = delivery_.acked();
    events_.on_acked(acked_ticket_);
  }
  delivery_.new_stream();
  last_sent_ = 0;
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
  const std::string words = json::text_or(message, "message").substr(0, kNackWordsBytesMax);
  const std::uint64_t ticket = base_ + number;
  if (delivery_.refuse(ticket, "nacked")) {
    events_.on_nacked(ticket, *code, words);
    events_.on_dropped("nacked", 1, *code + ": " + words);
  }
  return std::nullopt;
}

void Sender::acked_through(std::uint64_t number, TimePoint now) {
  const std::uint64_t ticket = base_ + number;
  if (ticket <= delivery_.acked()) return;
  while (!flight_.empty() && flight_.front().number <= number) {
    flight_bytes_ -= flight_.front().bytes;
    flight_.pop_front();
  }
  ack_due_ = flight_.empty() ? TimePoint::max() : now + kAckLimit;
  delivery_.acknowledge(ticket);
  acked_ticket_ = ticket;
  events_.on_acked(ticket);
}

bool Sender::window_takes(std::size_t bytes) const {
  if (flight_.empty()) return true;  // one message always, else a small window would stop the stream for good
  return flight_.size() < limits_.in_flight_messages && flight_bytes_ + bytes <= limits_.in_flight_bytes;
}

void Sender::pump(Wire& wire, TimePoint now) {
  if (!open_ || stream_changed()) return;
  bool more = true;
  while (more && wire.writable() && !waits_for_pace(now)) {
    const bool one = send_one_best_effort(wire, now);
    more = send_one_durable(wire, now) || one;
  }
}

bool Sender::waits_for_pace(TimePoint now) {
  const TimePoint next = pace_ ? pace_->next() : now;
  paced_until_ = next > now ? next : TimePoint::max();
  return next > now;
}

void Sender::count_sent(std::size_t bytes, TimePoint now) {
  ++sent_messages_;
  sent_bytes_ += bytes;
  if (pace_) pace_->sent(bytes, now);
}

bool Sender::send_one_best_effort(Wire& wire, TimePoint now) {
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
  count_sent(bytes, now);
  return true;
}

// What next_ is, when it can be had now.
bool Sender::fetch() {
  if (outgoing_) return true;
  const std::uint64_t ticket = base_ + next_;
  if (ticket >= delivery_.end()) return false;
  Outgoing outgoing = delivery_.read(ticket);
  if (outgoing.kind == Outgoing::Kind::Later) return false;
  outgoing_ = std::move(outgoing);
  return true;
}

bool Sender::send_one_durable(Wire& wire, TimePoint now) {
  if (!fetch()) return false;
  std::uint64_t to = next_;
  std::size_t bytes = 0;
  std::string lost;
  if (outgoing_->kind == Outgoing::Kind::Lost) {
    to = outgoing_->to - base_;
    lost = outgoing_->reason;
  } else if (outgoing_->payload.size() + kHeaderBytes > limits_.message_bytes) {
    lost = "too_big";
  } else {
    bytes = outgoing_->payload.size() + kHeaderBytes;
  }
  if (!window_takes(bytes)) return false;
  if (flight_.empty()) ack_due_ = now + kAckLimit;
  flight_.push_back({to, bytes});
  flight_bytes_ += bytes;
  if (lost.empty()) {
    send_payload(wire, now);
  } else {
    send_skipped(wire, to, lost);
  }
  outgoing_.reset();
  last_sent_ = base_ + to;
  delivery_.sent(last_sent_);
  next_ = to + 1;
  return true;
}

void Sender::send_payload(Wire& wire, TimePoint now) {
  const auto head = header(kDurable | (outgoing_->compressed ? kCompressedBit : 0), next_);
  wire.send_binary({head.data(), head.size()}, outgoing_->payload);
  count_sent(outgoing_->payload.size() + kHeaderBytes, now);
}

void Sender::send_skipped(Wire& wire, std::uint64_t to, const std::string& reason) {
  auto message = control_message("skipped");
  message->set("from", next_);
  message->set("to", to);
  message->set("reason", reason);
  wire.send_text(json::to_text(message));
  const std::uint64_t ticket = base_ + next_;
  if (outgoing_->kind == Outgoing::Kind::Message && delivery_.refuse(ticket, reason)) {
    events_.on_nacked(ticket, reason, "longer than the grant allows");
    events_.on_dropped(reason, 1, "a durable message is longer than the grant allows");
  } else if (reason == "spool_damaged" && base_ + to > counted_lost_) {
    // The others were counted when they were refused or dropped.
    events_.on_dropped(reason, base_ + to - std::max(counted_lost_, ticket - 1), "damaged in the spool");
    counted_lost_ = base_ + to;
  }
}

void Sender::discard() {
  const std::uint64_t count = delivery_.discard() + queue_.clear();
  if (count > 0) events_.on_dropped("unbound", count, "the device was unbound from its cloud");
  last_sent_ = 0;
  open_ = false;
}

void Sender::disconnected() {
  open_ = false;
  outgoing_.reset();
  flight_.clear();
  flight_bytes_ = 0;
  ack_due_ = paced_until_ = TimePoint::max();
  const std::uint64_t left = queue_.clear();
  if (left > 0) events_.on_dropped("expired", left, "best-effort messages that waited when the connection ended");
}

}  // namespace hawser::host
