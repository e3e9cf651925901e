#include "core/host/stream_session.hpp"

#include <algorithm>
#include <array>

namespace hawser::host {
namespace {

// Texts that belong to the two ends of the stream; every other type is the plugin's.
constexpr std::array<std::string_view, 6> kControlTypes = {"hello", "welcome", "resume", "ack", "nack", "skipped"};

std::uint64_t number_of(std::string_view data) {
  std::uint64_t number = 0;
  for (std::size_t i = 1; i < kHeaderBytes; ++i) number = (number << 8) | static_cast<unsigned char>(data[i]);
  return number;
}

}  // namespace

StreamSession::StreamSession(Identity identity, Delivery& delivery, BestEffortQueue& queue, ReceivedStore& store,
                             SessionEvents& events, Pace* pace)
    : identity_(std::move(identity)),
      events_(events),
      sender_(delivery, queue, events, pace),
      receiver_(store, events) {}

void StreamSession::connected(const Limits& limits, Wire& wire, TimePoint now) {
  wire_ = &wire;
  limits_ = limits;
  ready_ = false;
  welcome_due_ = now + kWelcomeLimit;
  ping_due_ = now + limits.ping;
  auto hello = sender_.hello(limits);
  hello->set("plugin", identity_.plugin);
  hello->set("version", identity_.version);
  wire.send_text(json::to_text(hello));
}

std::optional<Fault> StreamSession::text(std::string_view data, TimePoint now) {
  auto message = json::parse_object(data);
  if (!message) return Fault{1007, "bad_payload", message.error().message};
  const auto type = json::text_member(*message, "type");
  if (!type) return policy(type.error().message);
  if (std::find(kControlTypes.begin(), kControlTypes.end(), *type) != kControlTypes.end())
    return control(*type, *message, now);
  if (ready_) events_.on_text(data);  // best effort: before `resume` nobody is there for it
  return std::nullopt;
}

std::optional<Fault> StreamSession::control(const std::string& type, const json::Object& message, TimePoint now) {
  if (type == "welcome") return welcome(message, now);
  if (!ready_) return policy(type + " before welcome");
  if (type == "ack") {
    auto fault = sender_.ack(message, now);
    if (!fault) sender_.pump(*wire_, now);
    return fault;
  }
  if (type == "nack") return sender_.nack(message);
  if (type == "skipped") return receiver_.skipped(message, now);
  return policy(type + " is for the device to say");
}

std::optional<Fault> StreamSession::welcome(const json::Object& message, TimePoint now) {
  if (ready_) return policy("a second welcome");
  // The cloud's stream is looked at first: it counts even when ours has to begin anew.
  if (auto fault = receiver_.welcome(message, limits_, now)) return fault;
  if (auto fault = sender_.welcome(message, now)) return fault;
  auto resume = control_message("resume");
  resume->set("acked", receiver_.resume_number());
  wire_->send_text(json::to_text(resume));
  ready_ = true;
  welcome_due_ = TimePoint::max();
  receiver_.resumed(*wire_);
  sender_.pump(*wire_, now);
  return std::nullopt;
}

std::optional<Fault> StreamSession::binary(std::string_view data, TimePoint now) {
  if (data.size() < kHeaderBytes) return policy("a binary message is shorter than its header");
  if (data.size() > limits_.message_bytes) return Fault{1009, "too_big", "a message is longer than the grant allows"};
  if (!ready_) return policy("data before resume");
  const auto first = static_cast<unsigned char>(data[0]);
  const bool compressed = (first & kCompressedBit) != 0;
  const auto kind = static_cast<unsigned char>(first & ~kCompressedBit);
  const std::uint64_t number = number_of(data);
  const std::string_view payload = data.substr(kHeaderBytes);
  if (kind == kDurable) return receiver_.durable(number, payload, compressed, now);
  if (kind != kBestEffort) return policy("an unknown kind of binary message");
  if (number != 0) return policy("a best-effort message has a number");
  events_.on_best_effort(std::string(payload), compressed);
  return std::nullopt;
}

std::optional<Fault> StreamSession::verdict(const std::string& stream, std::uint64_t number, Verdict verdict,
                                            const std::string& why, TimePoint now) {
  return receiver_.verdict(stream, number, verdict, why, now);
}

void StreamSession::send_ping(TimePoint now) {
  wire_->ping(std::to_string(++ping_number_));
  ping_sent_ = now;
  // A late turn (the device slept) must not send one ping for each missed interval.
  ping_due_ = now + limits_.ping;
}

void StreamSession::pong(std::string_view payload, TimePoint now) {
  if (ping_number_ == 0 || payload != std::to_string(ping_number_)) return;
  round_trip_ = std::chrono::duration_cast<std::chrono::milliseconds>(now - ping_sent_);
}

std::optional<Fault> StreamSession::tick(TimePoint now, TimePoint last_inbound) {
  receiver_.tick(now);
  if (!wire_) return std::nullopt;
  if (now >= welcome_due_) return Fault{4008, "hang_up", "no welcome within 10 s"};
  if (now >= last_inbound + limits_.ping + kHangUpAllowance)
    return Fault{4008, "hang_up", "nothing arrived for the ping interval and 15 s"};
  if (sender_.stream_changed()) return Fault{1000, "normal", "the messages go on in another stream"};
  if (now >= sender_.ack_due()) return Fault{4008, "hang_up", "no acknowledgement for 60 s while one is due"};
  if (now >= ping_due_) send_ping(now);
  sender_.pump(*wire_, now);
  return std::nullopt;
}

TimePoint StreamSession::next_due(TimePoint last_inbound) const {
  if (!wire_) return receiver_.next_due();
  return std::min({receiver_.next_due(), welcome_due_, ping_due_, sender_.ack_due(), sender_.paced_until(),
                   last_inbound + limits_.ping + kHangUpAllowance});
}

void StreamSession::discard() {
  sender_.discard();
  receiver_.discard();
}

void StreamSession::disconnected() {
  wire_ = nullptr;
  ready_ = false;
  sender_.disconnected();
  receiver_.disconnected();
}

}  // namespace hawser::host
