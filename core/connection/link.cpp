#include "core/connection/link.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>

#include "core/base/encoding.hpp"
#include "core/connection/grants.hpp"

namespace hawser::connection {
namespace {

struct CloseRule {
  std::uint16_t code;
  std::string_view reason;  // of sdk/protocol.md §7
  Outcome outcome;
};
constexpr std::array kCloseRules{CloseRule{1000, "normal", Outcome::Lost},
                                 CloseRule{1001, "going_away", Outcome::Lost},
                                 CloseRule{1002, "framing", Outcome::Lost},
                                 CloseRule{1003, "not_text", Outcome::Lost},
                                 CloseRule{1007, "bad_payload", Outcome::Lost},
                                 CloseRule{1008, "policy", Outcome::Lost},
                                 CloseRule{1009, "too_big", Outcome::Lost},
                                 CloseRule{1011, "server_error", Outcome::Lost},
                                 CloseRule{1012, "restarting", Outcome::Lost},
                                 CloseRule{1013, "try_again", Outcome::TryLater},
                                 CloseRule{4001, "token_withdrawn", Outcome::TokenWithdrawn},
                                 CloseRule{4003, "device_removed", Outcome::Removed},
                                 CloseRule{4008, "hang_up", Outcome::Lost},
                                 CloseRule{4009, "replaced", Outcome::Replaced},
                                 CloseRule{4010, "unbound", Outcome::Removed},
                                 CloseRule{4011, "drained", Outcome::Lost},
                                 CloseRule{4012, "revoked", Outcome::Lost}};

const CloseRule* rule_for(std::uint16_t code) {
  const auto rule =
      std::find_if(kCloseRules.begin(), kCloseRules.end(), [&](const CloseRule& r) { return r.code == code; });
  return rule == kCloseRules.end() ? nullptr : &*rule;
}

json::Object binding_of(const Target& target) {
  const IpVersion family = target.binding.ip_version;
  auto binding = json::make_object();
  binding->set("ip_version", family == IpVersion::V4 ? "4" : family == IpVersion::V6 ? "6" : "any");
  binding->set("vpn_instance", target.binding.vpn_instance);
  binding->set("source_ip", target.binding.source_ip);
  return binding;
}

std::string keepalive_text(std::int64_t seq) { return R"({"type":"keepalive","seq":)" + std::to_string(seq) + "}"; }

}  // namespace

Outcome outcome_of_close(std::uint16_t code) {
  const CloseRule* rule = rule_for(code);
  return rule == nullptr ? Outcome::Lost : rule->outcome;
}

Error down_reason(const transport::Closing& closing) {
  const CloseRule* rule = closing.by_peer ? rule_for(closing.code) : nullptr;
  std::string detail = closing.detail;
  if (closing.by_peer && closing.code != 1006) {
    detail = "close " + std::to_string(closing.code) + (closing.reason.empty() ? "" : ", " + closing.reason);
  }
  if (rule == nullptr) return {closing.error.empty() ? "peer_closed" : closing.error, detail};
  const bool keepalive = closing.code == 4008 && closing.reason == "keepalive_expired";
  return {keepalive ? "keepalive_expired" : std::string(rule->reason), detail};
}

Link::Link(Shared& shared, transport::WebSocket& socket, seconds spread, const Target& target, Adopt adopt)
    : shared_(shared),
      socket_(socket),
      spread_(spread),
      binding_(binding_of(target)),
      adopt_(std::move(adopt)),
      keepalive_(Clock::now(), random_between(0ms, shared.settings.keepalive_interval),
                 shared.settings.keepalive_interval, shared.settings.keepalive_count),
      ping_(Clock::now(), shared.settings.ping_interval) {}

Outcome Link::run() {
  for (Reach& reach : shared_.reach) reach.seq = 0;  // what an earlier connection carried does not count
  shared_.reports.connection_ended();                // also where that one ended by a mistake of ours
  shared_.grants_wanted = true;
  do {
    take_over_requests();
    run_due(Clock::now());
    if (abandoned_) break;
  } while (socket_.turn(*this, next_due()) == transport::WebSocket::Turn::Open);
  return ended();
}

void Link::take_over_requests() {
  const auto results = take_requests(shared_);
  const auto interrupted = shared_.interrupts.taken();
  if (interrupted && *interrupted != Outcome::Changed) {
    const bool reset = *interrupted == Outcome::Reset;
    leave(*interrupted, 1000, "normal",
          {reset ? "reset_by_operator" : "normal", reset ? "an operator asked for it" : "the agent stops"});
    leaving_ = *interrupted;  // whatever we were leaving for before
  }
  if (const auto impact = adopt_()) follow_change(*impact);
  for (const auto& result : results) socket_.send_text(result);
}

void Link::run_due(TimePoint now) {
  if (leaving_) return;
  if (ping_.is_hung_up(now, socket_.last_inbound())) return hang_up("no byte came for ping interval + 15 s");
  if (look_ && now >= look_->limit) {
    lost_locally_ = true;
    return hang_up("no answer to a ping after a change of the network");
  }
  if (ping_.is_due(now)) socket_.ping("");
  keep_alive(now);
  if (drain_ && now >= drain_->leave_at && !leaving_)
    leave(Outcome::Drained, 4011, "drained", {"drained", "the cloud asked us to leave"});
  if (leaving_) return;
  unbind(now);
  if (leaving_) return;
  ask_for_grants(now);
  send_reports();
}

void Link::keep_alive(TimePoint now) {
  switch (keepalive_.turn(now)) {
    case Keepalive::Due::Send:
      socket_.send_text(keepalive_text(keepalive_.seq()));
      break;
    case Keepalive::Due::Expired:
      leave(Outcome::Lost, 4008, "keepalive_expired",
            {"keepalive_expired",
             std::to_string(shared_.settings.keepalive_count) + " keepalives in a row were not answered"});
      return;
    case Keepalive::Due::Nothing:
      break;
  }
  send_reach(now);
}

bool Link::reach_waits() const {
  return std::any_of(shared_.reach.begin(), shared_.reach.end(), [](const Reach& reach) { return reach.seq == 0; });
}

void Link::send_reach(TimePoint now) {
  if (!reach_waits() || now < keepalive_.next_extra()) return;
  const std::int64_t seq = keepalive_.extra(now);
  for (Reach& reach : shared_.reach) {
    if (reach.seq == 0) reach.seq = seq;
  }
  socket_.send_text(keepalive_text(seq));
}

TimePoint Link::next_due() const {
  if (leaving_) return TimePoint::max();  // the transport limits a close
  TimePoint next = std::min(keepalive_.next(), ping_.next(socket_.last_inbound()));
  if (shared_.grants_wanted && asked_at_) next = std::min(next, *asked_at_ + kListRequestGap);
  if (asked_at_ && !answered_) next = std::min(next, *asked_at_ + shared_.limits.list_answer);
  if (look_) next = std::min(next, look_->limit);
  for (const Unbinding& unbinding : unbindings_) next = std::min(next, unbinding.limit);
  if (unbound_until_) next = std::min(next, *unbound_until_);
  if (reach_waits()) next = std::min(next, keepalive_.next_extra());
  if (drain_) next = std::min(next, drain_->leave_at);
  return next;
}

void Link::ask_for_grants(TimePoint now) {
  if (asked_at_ && now < *asked_at_ + kListRequestGap) return;
  const bool again = asked_at_ && !answered_ && now >= *asked_at_ + shared_.limits.list_answer;
  if (!shared_.grants_wanted && !again) return;
  // An answer that is late counts as long as the list is the same one.
  if (shared_.grants_wanted) asked_ids_.clear();
  if (asked_ids_.size() == 16) asked_ids_.erase(asked_ids_.begin());
  shared_.grants_wanted = false;
  answered_ = false;
  asked_at_ = now;
  asked_offers_ = shared_.offers;
  asked_ids_.push_back(random_uuid());
  auto message = json::make_object();
  message->set("type", "subconnection_request");
  message->set("id", asked_ids_.back());
  message->set("services", services_of(asked_offers_));
  socket_.send_text(json::to_text(message));
}

void Link::send_reports() {
  if (!socket_.writable()) return;
  const auto report = shared_.reports.next();
  if (!report) return;
  socket_.send_text(report->text);
  if (!report->incomplete) return;
  shared_.board.change([](Snapshot& s) {
    s.last_report_incomplete = Error{"queue_full", "events were dropped before this report"};
    s.last_report_incomplete_at = std::chrono::system_clock::now();
  });
}

void Link::leave(Outcome outcome, std::uint16_t code, std::string_view reason, Error why) {
  if (leaving_) return;
  leaving_ = outcome;
  leaving_why_ = std::move(why);
  socket_.close(code, reason);
}

// A Close goes out, for a peer that still hears; no answer is waited for, so that the connection is down from now on.
void Link::hang_up(std::string detail) {
  leave(Outcome::Lost, 4008, "hang_up", {"hang_up", std::move(detail)});
  socket_.turn(*this, Clock::now());
  abandoned_ = true;
}

Outcome Link::ended() {
  const transport::Closing& closing = socket_.closing();
  Error why = leaving_ ? leaving_why_ : down_reason(closing);
  const bool said = closing.by_peer && closing.code != 1006;
  const Outcome outcome = leaving_ ? *leaving_ : closing.by_peer ? outcome_of_close(closing.code) : Outcome::Lost;
  if (look_ && !leaving_ && !said) lost_locally_ = true;  // before its answer came: the network took it
  // Unbound by an operator of the cloud, or in answer to a request whose result was lost on the way.
  if (!leaving_ && said && closing.code == 4010 && !unbound_until_) let_go(unbindings_.empty() ? 0 : unbindings_[0].id);
  if (unbound_until_) why = {"unbound", why.message};
  end_unbindings({"not_connected", "the connection ended before the cloud answered"});
  note_down(why);
  if (unbound_until_ && outcome != Outcome::Stopped && outcome != Outcome::Reset) return Outcome::Removed;
  if (!leaving_ && outcome == Outcome::Replaced) tell_twin(closing.reason);
  // A drain is what the cloud asked for, whatever ended the connection before its time (conn-20).
  return drain_ && (outcome == Outcome::Lost || outcome == Outcome::Changed) ? Outcome::Drained : outcome;
}

void Link::note_down(const Error& why) {
  const bool report_lost = shared_.reports.connection_ended();
  const auto at = std::chrono::system_clock::now();
  shared_.board.enter(State::Waiting, [&](Snapshot& s) {
    s.last_down = why;
    s.last_down_at = at;
    if (!report_lost) return;
    s.last_report_failure = why;
    s.last_report_failure_at = at;
  });
  const Event down{"down", "", why.code, why.message};
  // The next cloud may be another organization's: what ended here is not its affair.
  unbound_until_ ? shared_.observer.on_event(down) : shared_.tell(down);
}

}  // namespace hawser::connection
