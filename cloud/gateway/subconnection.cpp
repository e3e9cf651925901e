#include "cloud/gateway/subconnection.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <map>

#include "core/base/encoding.hpp"

namespace hawser::cloud {
namespace {

bool is_uuid(const std::string& text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !std::isxdigit(static_cast<unsigned char>(text[i]))) return false;
  }
  return true;
}

std::string durable_frame(Seq seq, const std::string& payload) {
  std::string bytes(1, '\x02');
  for (int shift = 56; shift >= 0; shift -= 8) bytes += static_cast<char>((seq >> shift) & 0xff);
  return bytes + payload;
}

}  // namespace

Subconnection::Subconnection(Hub& hub, Peer& peer, TokenRecord token, const Microservice& microservice)
    : ServiceSession(std::move(token)), hub_(hub), peer_(peer), microservice_(microservice) {}

std::size_t Subconnection::message_bytes_max() const {
  return static_cast<std::size_t>(hub_.settings().max_message_bytes);
}

void Subconnection::on_open() {
  opened_ms_ = hub_.now().mono;
  hub_.entered(shared_from_this());
  store_changed();  // what an operator did while the upgrade was answered
}

void Subconnection::on_text(std::string_view text) {
  if (!ended_.empty()) return;
  using Handler = void (Subconnection::*)(const Json&);
  static const std::map<std::string, Handler> handlers = {{"hello", &Subconnection::hello},
                                                          {"resume", &Subconnection::resume},
                                                          {"ack", &Subconnection::ack},
                                                          {"nack", &Subconnection::nack},
                                                          {"skipped", &Subconnection::skipped}};
  const auto message = parse_strict(text);
  if (!message) {
    spdlog::warn("{}/{}: {}", serial(), service(), message.error().message);
    return end(1007, "bad_payload");
  }
  try {
    const auto handler = handlers.find(text_of(*message, "type"));
    if (!receiver_ && (handler == handlers.end() || handler->first != "hello"))
      throw SchemaFault("hello must come first");
    if (handler == handlers.end() || handler->first != "nack") store_resumed();
    if (handler == handlers.end()) {
      ++dropped_;  // the first three services take no texts
    } else {
      (this->*handler->second)(*message);
    }
  } catch (const SchemaFault& fault) {
    spdlog::warn("{}/{}: {}", serial(), service(), fault.what());
    end(1008, "policy");
  }
}

void Subconnection::hello(const Json& message) {
  if (receiver_) throw SchemaFault("a second hello");
  const std::string stream = text_of(message, "stream");
  if (!is_uuid(stream)) throw SchemaFault("stream is no UUID");
  integer_of(message, "next_seq", 1);
  if (text_of(message, "plugin") != token_.plugin) throw SchemaFault("plugin is not the grant's");
  text_of(message, "version");
  key_ = {serial(), service(), stream};
  hub_.commits().flush(hub_.now());
  const InboundStream inbound = hub_.store().inbound(key_);
  const OutboundStream outbound = hub_.store().outbound(serial(), service());
  receiver_.emplace(inbound.stored);
  send({{"type", "welcome"},
        {"acked", inbound.stored},
        {"nacked", inbound.nacked},
        {"stream", outbound.stream},
        {"next_seq", outbound.next_seq}});
  hub_.store().note_link(serial(), token_.generation, {service(), true, hub_.now().wall, peer_.address(), 0, "", ""},
                         true);
  spdlog::info("{}/{} ready, stream {} at {}", serial(), service(), stream, inbound.stored);
}

void Subconnection::resume(const Json& message) {
  if (resumed_) throw SchemaFault("a second resume");
  const Seq acked = integer_of(message, "acked", 0);
  const OutboundStream outbound = hub_.store().outbound(serial(), service());
  if (acked < outbound.acked || acked >= outbound.next_seq) {
    spdlog::warn("{}/{}: the device has {} of the stream, acknowledged was {}: a new stream begins", serial(),
                 service(), acked, outbound.acked);
    hub_.store().renew_outbound(serial(), service());
    return end(1000, "normal");
  }
  resumed_ = true;
  acked_ = sent_ = acked;
  if (acked > outbound.acked) resumed_at_ = acked;
  store_changed();
}

// What `resume` covers is forgotten only when the nacks have come that may follow it: one names what it refuses.
void Subconnection::store_resumed() {
  if (!resumed_at_) return;
  hub_.store().outbound_acked(serial(), service(), *resumed_at_);
  resumed_at_.reset();
}

void Subconnection::ack(const Json& message) {
  const Seq seq = integer_of(message, "seq", 0);
  if (!resumed_ || seq > sent_) throw SchemaFault("an ack of what was not sent");
  if (seq <= acked_) return;
  hub_.store().outbound_acked(serial(), service(), seq);
  take_acked(seq);
  send_outbound();
}

void Subconnection::take_acked(Seq seq) {
  acked_ = seq;
  while (!in_flight_.empty() && in_flight_.front().seq <= seq) {
    in_flight_bytes_ -= in_flight_.front().bytes;
    in_flight_.pop_front();
  }
  ack_due_since_ms_ = hub_.now().mono;
}

void Subconnection::nack(const Json& message) {
  const Seq seq = integer_of(message, "seq", 1);
  if (!resumed_ || seq > sent_) throw SchemaFault("a nack of what was not sent");
  const std::string code = text_of(message, "code"), why = text_if_any(message, "message", 4096);
  for (const OutboundMessage& refused : hub_.store().outbound_after(serial(), service(), seq - 1, 1)) {
    if (refused.seq != seq) continue;  // acknowledged before
    if (const auto status = microservice_.refused(refused.payload, code, why))
      hub_.store().note_status(serial(), *status, hub_.now().wall);
  }
  hub_.store().outbound_nacked(serial(), service(), seq, code, why);
  spdlog::warn("{}/{}: the device refuses number {}: {}, {}", serial(), service(), seq, code, why);
}

void Subconnection::skipped(const Json& message) {
  Seq from = integer_of(message, "from", 1);
  const Seq to = integer_of(message, "to", from);
  const std::string reason = text_of(message, "reason");
  switch (receiver_->skipped(from, to)) {
    case StreamReceiver::Verdict::Duplicate:
      return;
    case StreamReceiver::Verdict::Gap:
      throw SchemaFault("a gap before what was skipped");
    case StreamReceiver::Verdict::Store:
      break;
  }
  take_in({key_, from, to, ReceivedMessage::Kind::Skipped, reason, Nothing{}}, 64);
}

void Subconnection::on_binary(std::string_view bytes) {
  if (!ended_.empty()) return;
  store_resumed();
  const auto data = parse_data(bytes);
  if (!receiver_ || !data) {
    spdlog::warn("{}/{}: {}", serial(), service(), data ? "data before hello" : data.error().message);
    return end(1008, "policy");
  }
  if (data->durable) return durable(*data, bytes.size());
  ++dropped_;  // the first three services send nothing best effort
}

Result<Effect> Subconnection::effect_of(const DataMessage& data) const {
  if (!data.compressed) return microservice_.receive(serial(), data.payload, hub_.now());
  const auto content = decompress(data.payload, 16 * message_bytes_max());
  if (!content) return content.error();
  return microservice_.receive(serial(), *content, hub_.now());
}

void Subconnection::durable(const DataMessage& data, std::size_t wire_bytes) {
  switch (receiver_->message(data.seq)) {
    case StreamReceiver::Verdict::Duplicate:
      return;
    case StreamReceiver::Verdict::Gap:
      spdlog::warn("{}/{}: number {} follows {}", serial(), service(), data.seq, receiver_->received());
      return end(1008, "policy");
    case StreamReceiver::Verdict::Store:
      break;
  }
  auto effect = effect_of(data);
  if (effect)
    return take_in({key_, data.seq, data.seq, ReceivedMessage::Kind::Data, "", std::move(*effect)}, wire_bytes);
  refused_.push_back({data.seq, effect.error()});
  take_in({key_, data.seq, data.seq, ReceivedMessage::Kind::Nacked, effect.error().code, Nothing{}}, wire_bytes);
}

// Never more in flight than the grant says: what waits here is less than what the device counts.
void Subconnection::take_in(ReceivedMessage message, std::size_t wire_bytes) {
  waiting_.push_back({message.last, wire_bytes});
  waiting_bytes_ += wire_bytes;
  if (waiting_.size() > static_cast<std::size_t>(hub_.settings().max_in_flight_messages) ||
      waiting_bytes_ > static_cast<std::size_t>(hub_.settings().max_in_flight_bytes))
    return end(1008, "policy");
  hub_.commits().add(std::move(message), wire_bytes, weak_from_this(), hub_.now());
}

void Subconnection::on_committed(Seq last) {
  receiver_->committed(last);
  while (!waiting_.empty() && waiting_.front().seq <= last) {
    waiting_bytes_ -= waiting_.front().bytes;
    waiting_.pop_front();
  }
  if (!ended_.empty()) return;
  for (; !refused_.empty() && refused_.front().seq <= last; refused_.pop_front()) {
    const Refused& refused = refused_.front();
    spdlog::warn("{}/{}: number {} refused: {}", serial(), service(), refused.seq, refused.error.message);
    send({{"type", "nack"},
          {"seq", refused.seq},
          {"code", refused.error.code},
          {"message", printable(refused.error.message, 1024)}});
  }
  send({{"type", "ack"}, {"seq", last}});
}

void Subconnection::on_commit_failed() { end(1011, "server_error"); }

void Subconnection::send_outbound() {
  const Settings& settings = hub_.settings();
  while (resumed_ && ended_.empty()) {
    const auto batch = hub_.store().outbound_after(serial(), service(), sent_, kSendBatch);
    if (batch.empty()) return;
    for (const OutboundMessage& message : batch) {
      std::string frame = durable_frame(message.seq, message.payload);
      const bool full = in_flight_.size() >= static_cast<std::size_t>(settings.max_in_flight_messages) ||
                        in_flight_bytes_ + frame.size() > static_cast<std::size_t>(settings.max_in_flight_bytes);
      if (full && !in_flight_.empty()) return;
      if (in_flight_.empty()) ack_due_since_ms_ = hub_.now().mono;
      in_flight_.push_back({message.seq, frame.size()});
      in_flight_bytes_ += frame.size();
      sent_ = message.seq;
      peer_.send_binary(std::move(frame));
    }
  }
}

void Subconnection::store_changed() {
  if (!ended_.empty()) return;
  const auto device = hub_.store().device(serial());
  if (!device || device->generation != token_.generation) return end(4003, "device_removed");
  if (device->blocked) return end(4001, "token_withdrawn");
  if (!resumed_) return;
  for (std::string& text : hub_.store().take_texts(serial(), service())) peer_.send_text(std::move(text));
  send_outbound();
}

void Subconnection::tick(Now now) {
  if (!ended_.empty()) return;
  if (!receiver_ && now.mono - opened_ms_ > kHelloMs) return end(1008, "policy");
  if (now.mono - opened_ms_ > kHelloMs) store_resumed();
  if (!in_flight_.empty() && now.mono - ack_due_since_ms_ > kAckDueMs) return end(4008, "hang_up");
  if ((now.mono - peer_.last_inbound_ms()) * 2 > hub_.settings().grant_ping_s * 5000LL) end(4008, "hang_up");
}

void Subconnection::send(const Json& message) {
  peer_.send_text(message.dump(-1, ' ', false, Json::error_handler_t::replace));
}

void Subconnection::end(int code, const std::string& reason) {
  if (!ended_.empty()) return;
  ended_ = reason;
  peer_.close(code, reason);
}

void Subconnection::on_closed(int code, std::string_view words) {
  hub_.left(*this);
  const std::string reason = ended_.empty() ? reason_of_close(code, words) : ended_;
  spdlog::info("{}/{} disconnected: {} (close code {})", serial(), service(), reason, code);
  hub_.store().note_link(serial(), token_.generation,
                         {service(), false, hub_.now().wall, peer_.address(), code, reason, ""}, ended_ != "replaced");
}

}  // namespace hawser::cloud
