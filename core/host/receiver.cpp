#include "core/host/receiver.hpp"

#include "core/host/compression.hpp"
#include "core/host/outbox.hpp"

namespace hawser::host {
Receiver::Receiver(ReceivedStore& store, SessionEvents& events) : store_(store), events_(events) {
  const Received received = store_.load();
  stream_ = received.stream;
  stored_ = taken_ = received.number;
}

std::optional<Fault> Receiver::welcome(const json::Object& message, const Limits& limits, TimePoint now) {
  const auto stream = json::text_member(message, "stream");
  if (!stream) return policy("welcome: " + stream.error().message);
  const auto next = json::integer_member(message, "next_seq", 1);
  if (!next) return policy("welcome: " + next.error().message);
  limits_ = limits;
  flush(now);
  with_plugin_ = events_.on_durable_reset();
  if (*stream != stream_) {
    stream_ = *stream;
    stored_ = taken_ = with_plugin_ = 0;
    nacks_.clear();
    store_due_ = TimePoint::max();
  }
  received_ = acked_ = stored_;
  return std::nullopt;
}

void Receiver::resumed(Wire& wire) {
  wire_ = &wire;
  acknowledge();
}

std::optional<Fault> Receiver::wait_for(const Waiting& range) {
  const bool first = waiting_.empty();
  waiting_.push_back(range);
  waiting_bytes_ += range.bytes;
  if (!first && (waiting_.size() > limits_.in_flight_messages || waiting_bytes_ > limits_.in_flight_bytes))
    return policy("more is in flight than the grant says");
  return std::nullopt;
}

std::optional<Fault> Receiver::durable(std::uint64_t number, std::string_view payload, bool compressed, TimePoint now) {
  if (number == 0) return policy("a durable message has the number 0");
  if (number <= received_) return std::nullopt;
  if (number != received_ + 1)
    return policy("number " + std::to_string(number) + " came, " + std::to_string(received_ + 1) + " is due");
  received_ = number;
  if (auto fault = wait_for({number, number, payload.size() + kHeaderBytes, false})) return fault;
  if (number <= taken_) {
    store_soon(now);
  } else if (number != with_plugin_) {
    events_.on_durable({stream_, number, std::string(payload), compressed, limits_.message_bytes * kContentFactor});
  }
  return std::nullopt;
}

std::optional<Fault> Receiver::skipped(const json::Object& message, TimePoint now) {
  const auto from = json::integer_member(message, "from", 1);
  if (!from) return policy("skipped: " + from.error().message);
  const auto to = json::integer_member(message, "to", *from);
  if (!to) return policy("skipped: " + to.error().message);
  const auto first = static_cast<std::uint64_t>(*from);
  const auto last = static_cast<std::uint64_t>(*to);
  if (last <= received_) return std::nullopt;
  if (first > received_ + 1)
    return policy("skipped from " + std::to_string(first) + ", " + std::to_string(received_ + 1) + " is due");
  if (auto fault = wait_for({received_ + 1, last, 0, true})) return fault;
  received_ = last;
  events_.on_log("the cloud passed over " + std::to_string(last - first + 1) +
                 " durable messages: " + json::text_or(message, "reason", "no reason given"));
  take_skipped();
  store_soon(now);
  return std::nullopt;
}

void Receiver::take_skipped() {
  for (const Waiting& range : waiting_) {
    if (range.to <= taken_) continue;
    if (!range.skipped || range.from > taken_ + 1) return;
    taken_ = range.to;
  }
}

void Receiver::store_soon(TimePoint now) {
  if (store_due_ == TimePoint::max() && (taken_ > stored_ || stored_ > acked_)) store_due_ = now + kGroupDelay;
  if (waiting_bytes_ >= kGroupBytes && taken_ > stored_ && now + kGroupDelay >= store_due_) flush(now);
}

std::optional<Fault> Receiver::verdict(const std::string& stream, std::uint64_t number, Verdict verdict,
                                       const std::string& why, TimePoint now) {
  if (stream != stream_ || number <= taken_) return std::nullopt;  // the cloud began anew meanwhile
  if (number == with_plugin_) with_plugin_ = 0;
  if (verdict == Verdict::Again) {
    if (!wire_) return std::nullopt;
    return Fault{1011, "server_error", "the plugin neither took nor refused durable message " + std::to_string(number)};
  }
  if (verdict == Verdict::Refused) {
    nacks_.emplace_back(number, why.substr(0, kNackWordsBytesMax));
    if (nacks_.size() > kNacksMax) nacks_.pop_front();
  }
  taken_ = number;
  take_skipped();
  store_soon(now);
  return std::nullopt;
}

void Receiver::tick(TimePoint now) {
  if (now >= store_due_) flush(now);
}

void Receiver::flush(TimePoint now) {
  store_due_ = TimePoint::max();
  if (taken_ > stored_) {
    if (auto saved = store_.save({stream_, taken_}); !saved) {
      events_.on_log("a received number cannot be stored, so it is not acknowledged: " + saved.error().message);
      store_due_ = now + kStoreRetry;
      return;
    }
    stored_ = taken_;
  }
  acknowledge();
}

void Receiver::acknowledge() {
  if (!wire_) return;
  while (!nacks_.empty() && nacks_.front().first <= stored_) {
    auto message = control_message("nack");
    message->set("seq", nacks_.front().first);
    message->set("code", "bad_payload");
    message->set("message", nacks_.front().second);
    wire_->send_text(json::to_text(message));
    nacks_.pop_front();
  }
  while (!waiting_.empty() && waiting_.front().to <= stored_) {
    waiting_bytes_ -= waiting_.front().bytes;
    waiting_.pop_front();
  }
  if (stored_ <= acked_) return;
  acked_ = stored_;
  auto message = control_message("ack");
  message->set("seq", stored_);
  wire_->send_text(json::to_text(message));
}

void Receiver::discard() {
  stream_.clear();
  stored_ = taken_ = 0;
  nacks_.clear();
  store_due_ = TimePoint::max();
  if (auto saved = store_.save({}); !saved) events_.on_log("the old stream is not forgotten: " + saved.error().message);
  disconnected();
  with_plugin_ = 0;
}

void Receiver::disconnected() {
  wire_ = nullptr;
  waiting_.clear();
  waiting_bytes_ = 0;
  received_ = acked_ = stored_;
  with_plugin_ = events_.on_durable_reset();
}

}  // namespace hawser::host
