#include "core/base/encoding.hpp"
#include "core/host/subconnection_loop.hpp"
#include "core/transport/limits.hpp"

// The network's side of SubconnectionLoop, and what the session tells.
namespace hawser::host {

using std::chrono::milliseconds;

void SubconnectionLoop::dial() {
  if (Clock::now() >= grant_->expires) {
    Ending ending;
    ending.status = 401;  // what the cloud would say
    ending.reason = "token_expired";
    ending.detail = "the grant ran out before it was used";
    return follow(ending);
  }
  dialled_ = *grant_;
  auto upgrade = gateway_->open(dialled_, Clock::now() + transport::kAttemptLimit);
  if (upgrade) return upgraded(std::move(*upgrade));
  if (upgrade.error().code == "cancelled") return;  // the words that wait say why
  Ending ending;
  ending.reason = upgrade.error().code;
  ending.detail = upgrade.error().message;
  follow(ending);
}

void SubconnectionLoop::upgraded(transport::Upgrade upgrade) {
  if (!upgrade.socket) return refused_upgrade(upgrade.answer);
  socket_ = std::move(upgrade.socket);
  fault_.reset();
  in_session_ = true;
  shared_.message_bytes_max.store(dialled_.limits.message_bytes);
  session_.connected(dialled_.limits, *this, Clock::now());
}

void SubconnectionLoop::refused_upgrade(const transport::HttpAnswer& answer) {
  Ending ending;
  ending.status = answer.status;
  ending.retry_after = transport::retry_after(answer);
  ending.reason = "upgrade_refused";
  const std::string hint = transport::hint_of(answer, true);
  ending.detail = hint.empty() ? "HTTP " + std::to_string(answer.status) : hint;
  if (const auto body = json::parse_object(answer.body)) {
    if (const auto error = json::object_member(*body, "error")) {
      ending.reason = printable(json::text_or(*error, "code", ending.reason), 64);
      ending.detail += ": " + json::text_or(*error, "message");
    }
  }
  follow(ending);
}

void SubconnectionLoop::turn_socket() {
  if (in_session_ && !fault_) check(session_.tick(Clock::now(), socket_->last_inbound()));
  drain_if_done();
  Ears ears(*this);
  if (socket_->turn(ears, due()) == transport::WebSocket::Turn::Closed) socket_ended();
}

void SubconnectionLoop::socket_ended() {
  const transport::Closing closing = socket_->closing();
  Ending ending;
  ending.close_code = closing.code == 1006 ? std::uint16_t{0} : closing.code;
  ending.closed_by_peer = closing.by_peer;
  ending.reason = closing.error;
  ending.detail = closing.detail.empty() ? closing.reason : closing.detail;
  if (fault_) {
    ending.close_code = fault_->code;
    ending.closed_by_peer = false;
    ending.reason = fault_->reason;
    ending.detail = fault_->detail;
  }
  ending.local = was_local(ending);
  drop_socket(ending);
}

// An end without a Close soon after a change of the device's own network; a dead link is only noticed by its silence.
bool SubconnectionLoop::was_local(const Ending& ending) const {
  const bool silent = ending.close_code == 0 || (!ending.closed_by_peer && ending.reason == "hang_up");
  return silent && network_changed_at_ && session_.ready() &&
         Clock::now() - *network_changed_at_ < dialled_.limits.ping + kHangUpAllowance;
}

void SubconnectionLoop::drop_socket(Ending ending) {
  const std::unique_ptr<transport::WebSocket> ended = std::move(socket_);
  if (!in_session_) return;  // a close of ours: the state is set already
  in_session_ = false;
  fault_.reset();
  ending.was_ready = session_.ready();
  session_.disconnected();
  if (ending.was_ready) ending.ready_for = std::chrono::duration_cast<milliseconds>(Clock::now() - ready_at_);
  follow(ending);
}

// A fault ends the connection; what was received so far is still acknowledged.
void SubconnectionLoop::check(const std::optional<Fault>& fault) {
  if (!fault || fault_ || !socket_ || !in_session_) return;
  fault_ = fault;
  session_.flush(Clock::now());
  socket_->close(fault->code, fault->reason);
}

void SubconnectionLoop::Ears::on_text(std::string_view data) {
  loop_.touched_ = true;
  if (!loop_.in_session_ || loop_.fault_) return;
  loop_.check(loop_.session_.text(data, Clock::now()));
  if (loop_.state_ == State::Connecting && loop_.session_.ready()) loop_.apply(Event::Welcome);
}

void SubconnectionLoop::Ears::on_binary(std::string_view data) {
  loop_.touched_ = true;
  if (!loop_.in_session_ || loop_.fault_) return;
  loop_.check(loop_.session_.binary(data, Clock::now()));
}

void SubconnectionLoop::Ears::on_pong(std::string_view payload) {
  loop_.touched_ = true;
  if (loop_.in_session_) loop_.session_.pong(payload, Clock::now());
}

void SubconnectionLoop::on_text(std::string_view json) {
  if (!shared_.mailbox.put_best_effort(Mailbox::Text{std::string(json)}))
    on_dropped("queue_full", 1, "the plugin does not take its messages fast enough");
}

void SubconnectionLoop::on_best_effort(std::string payload, bool compressed) {
  if (!shared_.mailbox.put_best_effort(Mailbox::BestEffort{std::move(payload), compressed}))
    on_dropped("queue_full", 1, "the plugin does not take its messages fast enough");
}

void SubconnectionLoop::on_durable(Inbound message) { shared_.mailbox.put_durable(std::move(message)); }

std::uint64_t SubconnectionLoop::on_durable_reset() { return shared_.mailbox.reset_durable(); }

void SubconnectionLoop::on_acked(std::uint64_t ticket) { shared_.mailbox.put(Mailbox::Acked{ticket}); }

void SubconnectionLoop::on_nacked(std::uint64_t ticket, const std::string& code, const std::string& message) {
  shared_.mailbox.put(Mailbox::Nacked{ticket, code, message});
}

void SubconnectionLoop::on_dropped(const std::string& reason, std::uint64_t count, const std::string& detail) {
  dropped_[reason] += count;
  if (reason == "spool_full") ++spool_full_count_;  // each time whole segments make room, and it is not full any more
  auto& [number, last] = unreported_[reason];
  number += count;
  last = detail;
}

void SubconnectionLoop::on_log(const std::string& message) { shared_.link.log("warn", service_ + ": " + message); }

SubconnectionStatus SubconnectionLoop::status() const {
  SubconnectionStatus status;
  status.state = state_;
  status.since = since_;
  status.url = url_;
  status.failure_reason = failure_reason_;
  status.detail = detail_.empty() ? delivery_.problem() : detail_;
  status.reconnects = openings_ > 0 ? openings_ - 1 : 0;
  status.sent_messages = session_.sender().sent_messages();
  status.sent_bytes = session_.sender().sent_bytes();
  status.queued_messages = delivery_.waiting() + shared_.queue.messages();
  status.queued_bytes = shared_.outbox.bytes() + shared_.queue.bytes();
  status.spooled_messages = delivery_.spooled_messages();
  status.spooled_bytes = delivery_.spooled_bytes();
  status.dropped = dropped_;
  if (const auto refused = shared_.queue.refused_count()) status.dropped["queue_full"] += refused;
  if (const auto bad = shared_.bad_best_effort.load()) status.dropped["bad_payload"] += bad;
  status.buffer_full_count =
      shared_.outbox.full_count() + shared_.queue.full_count() + shared_.mailbox.full_count() + spool_full_count_;
  status.acked_seq = session_.sender().acked_ticket();
  if (const auto round_trip = session_.round_trip()) status.rtt_ms = round_trip->count();
  return status;
}

// Figures are looked at once a second at most, since making a status costs more than sending a small message.
void SubconnectionLoop::report_status() {
  const TimePoint now = Clock::now();
  const bool figures = now >= std::min(figures_due_, reporter_.next_due());
  const bool state = reporter_.wants(state_, failure_reason_);
  if (!figures && !state) return;
  if (figures) {
    figures_due_ = TimePoint::max();
    figures_at_ = now;
  }
  if (reporter_.update(status(), now))
    shared_.link.send_newest("subconnection/" + service_, status().to_message(service_));
  for (const auto& [reason, drops] : unreported_) {
    shared_.link.event("dropped", service_, reason,
                       std::to_string(drops.first) + " messages; the last: " + drops.second);
  }
  unreported_.clear();
}

}  // namespace hawser::host
