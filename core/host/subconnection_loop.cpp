#include "core/host/subconnection_loop.hpp"

#include <algorithm>

#include "core/base/encoding.hpp"

namespace hawser::host {
namespace {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

constexpr milliseconds kMailboxRetry = 50ms;  // the service thread's queue was full
constexpr milliseconds kCloseShare = 500ms;   // of the time to stop, kept for the close itself

}  // namespace

SubconnectionLoop::SubconnectionLoop(SubconnectionShared& shared, std::unique_ptr<Gateway> gateway)
    : shared_(shared),
      service_(shared.settings.service),
      gateway_(std::move(gateway)),
      store_(shared.settings.state_dir, service_),
      delivery_({shared.settings.spool_folder(), shared.settings.spool_bytes, shared.settings.relaxed,
                 shared.settings.drop_oldest},
                shared.outbox, *this, [] { return random_uuid(); }),
      session_({shared.settings.plugin, shared.settings.version}, delivery_, shared.queue, store_, *this,
               shared.settings.pace.get()),
      waiting_([](std::uint64_t bound) { return random_below(bound); }),
      since_(rfc3339(std::chrono::system_clock::now())) {}

void SubconnectionLoop::run() {
  while (state_ != State::Stopped || socket_) {
    // In this order, so that no wish to give up a dial gets lost between the two.
    shared_.waker.rearm();
    take_words();
    turn_delivery();
    report_status();
    if (socket_) {
      turn_socket();
    } else if (state_ == State::Connecting) {
      dial();
    } else if (state_ != State::Stopped) {
      wait_for_something();
    }
  }
  delivery_.turn(Clock::now());
  session_.flush(Clock::now());
  shared_.link.send_newest("subconnection/" + service_, status().to_message(service_));
}

void SubconnectionLoop::take_words() {
  if (shared_.wake_pending.exchange(false)) touched_ = true;
  std::deque<CoreWord> words;
  std::deque<VerdictWord> verdicts;
  std::deque<SourceAnswer> answers;
  std::uint64_t heard = 0;
  {
    const std::lock_guard lock(shared_.mutex);
    words.swap(shared_.words);
    verdicts.swap(shared_.verdicts);
    answers.swap(shared_.answers);
    heard = shared_.heard_ticket;
  }
  if (touched_ && figures_due_ == TimePoint::max())
    figures_due_ = std::max(figures_at_ + kStatusInterval, Clock::now() + kFiguresSettle);
  touched_ = false;
  for (SourceAnswer& answer : answers) delivery_.source_answer(std::move(answer));
  delivery_.release(heard);
  for (const CoreWord& word : words) hear(word);
  for (const VerdictWord& word : verdicts)
    check(session_.verdict(word.stream, word.number, word.verdict, word.why, Clock::now()));
}

void SubconnectionLoop::hear(const CoreWord& word) {
  if (word.spread_s >= 0) spread_ = std::chrono::seconds(word.spread_s);
  switch (word.kind) {
    case CoreWord::Kind::Grant: {
      auto grant = read_grant(word.grant, word.at);
      if (grant && !shared_.settings.protocol.empty() && grant->protocol != shared_.settings.protocol)
        grant = Error{"bad_response", "grant: protocol " + printable(grant->protocol) + ", but the plugin opened " +
                                          shared_.settings.protocol};
      if (!grant) {
        failure_reason_ = grant.error().code;
        detail_ = grant.error().message;
        shared_.link.log("error", service_ + ": " + detail_);
        return;
      }
      grant_ = std::move(*grant);
      return apply(Event::Grant);
    }
    case CoreWord::Kind::GrantRefused:
      failure_reason_ = word.reason;
      return apply(Event::GrantRefused);
    case CoreWord::Kind::Revoke:
      failure_reason_ = word.reason;
      return apply(Event::Revoke);
    case CoreWord::Kind::ServerChanged:
      return apply(Event::ServerChanged);
    case CoreWord::Kind::NetworkChanged:
      return network_changed(word.resumed);
    case CoreWord::Kind::Unbound:
      return apply(Event::Unbound);
    case CoreWord::Kind::Stop:
      stop_at_ = word.at;
      return apply(Event::Stop);
  }
}

// The one door through which the state changes.
void SubconnectionLoop::apply(Event event) {
  const auto row = find_row(kSubconnectionTable, state_, event);
  if (!row) return;
  if (row->to != state_) {
    shared_.link.log("debug", service_ + ": " + std::string(name(state_)) + " -> " + std::string(name(row->to)) + ", " +
                                  std::string(name(event)));
    state_ = row->to;
    since_ = rfc3339(std::chrono::system_clock::now());
  }
  if (state_ == State::Ready) failure_reason_ = detail_ = "";
  perform(row->then, event);
}

void SubconnectionLoop::perform(Action action, Event event) {
  const TimePoint now = Clock::now();
  switch (action) {
    case Action::None:
    case Action::Finish:
      return;
    case Action::Dial:  // the loop dials while the state is Connecting and no socket is left
      url_ = grant_->url;
      return;
    case Action::Opened: {
      ready_at_ = now;
      opened_ = true;
      ++openings_;
      shared_.ready.store(true);
      auto about = json::make_object();
      about->set("protocol", dialled_.protocol);
      about->set("max_message_bytes", dialled_.limits.message_bytes);
      about->set("url", dialled_.url);
      return shared_.mailbox.put(Mailbox::Opened{json::to_text(about)});
    }
    case Action::Wait:
    case Action::WaitForgetting:
      wait_over_ = now + wait_;
      if (action == Action::WaitForgetting) grant_.reset();
      return;
    case Action::Ask:
      grant_.reset();
      return ask_for_grants();
    case Action::Forget:
      grant_.reset();
      return;
    case Action::CloseGoingAway:
      grant_.reset();
      failure_reason_ = "going_away";
      return close_socket(1001, "going_away");
    case Action::Discard:
      grant_.reset();
      failure_reason_ = "unbound";
      session_.discard();
      return close_socket(1000, "normal");
    case Action::CloseRevoked:
    case Action::RevokedAndFinish:
      grant_.reset();
      return close_socket(4012, "revoked");
    case Action::Drain:
      session_.flush(now);
      drain_until_ = std::max(
          now, stop_at_ - std::min(kCloseShare, std::chrono::duration_cast<milliseconds>((stop_at_ - now) / 4)));
      return;
    case Action::CloseAndFinish:
      return event == Event::ServerChanged ? close_socket(1001, "going_away") : close_socket(1000, "normal");
  }
}

void SubconnectionLoop::network_changed(bool resumed) {
  network_changed_at_ = Clock::now();
  if (state_ == State::Backoff && wait_is_own_)
    wait_over_ = std::min(wait_over_, *network_changed_at_ + (resumed ? waiting_.after_sleep() : 0ms));
  if (!resumed || !socket_) return;
  // Nobody at the other end waited for a device that slept: no farewell.
  Ending ending;
  ending.reason = "hang_up";
  ending.detail = "the device slept";
  ending.local = true;
  drop_socket(ending);
}

void SubconnectionLoop::close_socket(std::uint16_t code, const std::string& reason) {
  if (!socket_) return;
  session_.flush(Clock::now());
  in_session_ = false;
  session_.disconnected();
  socket_->close(code, reason);
  tell_closed(reason, "", 0ms);
}

void SubconnectionLoop::tell_closed(const std::string& reason, const std::string& detail, milliseconds retry) {
  shared_.ready.store(false);
  if (!opened_) return;
  opened_ = false;
  shared_.mailbox.put(Mailbox::Closed{reason, detail, static_cast<std::uint32_t>(retry.count())});
}

void SubconnectionLoop::ask_for_grants() {
  auto message = json::make_object();
  message->set("type", "want_grants");
  message->set("service", service_);
  message->set("why", failure_reason_.empty() ? "the grant has run out" : failure_reason_);
  shared_.link.send_newest("want_grants/" + service_, message);
}

void SubconnectionLoop::follow(const Ending& ending) {
  failure_reason_ = ending.reason;
  detail_ = printable(ending.detail, 512);
  const Next next = waiting_.after(ending, spread_);
  wait_ = next.wait;
  wait_is_own_ = next.own;
  shared_.link.log("info", service_ + ": " + ending.reason + (detail_.empty() ? "" : ", ") + detail_);
  tell_closed(ending.reason, detail_, next.wait);
  apply(next.event);
}

void SubconnectionLoop::wait_for_something() {
  if (state_ == State::Backoff && Clock::now() >= wait_over_) {
    wait_over_ = TimePoint::max();
    const bool good = grant_ && Clock::now() < grant_->expires;
    return apply(good ? Event::WaitOver : Event::GrantRanOut);
  }
  shared_.waker.wait({}, due());
  check(session_.tick(Clock::now(), {}));
}

void SubconnectionLoop::drain_if_done() {
  if (state_ != State::Draining) return;
  const bool done = session_.sender().everything_acked() && shared_.queue.messages() == 0;
  if (done || Clock::now() >= drain_until_) apply(Event::Drained);
}

// The disk's turn, as often as the socket's: what came in the meantime shares one fsync.
void SubconnectionLoop::turn_delivery() {
  delivery_.turn(Clock::now());
  const bool outbox = shared_.outbox.take_writable(), queue = shared_.queue.take_writable();
  if (outbox || queue) shared_.mailbox.put(Mailbox::Writable{});
}

TimePoint SubconnectionLoop::due() {
  TimePoint until = std::min({figures_due_, reporter_.next_due(), delivery_.next_due()});
  // A connection with a fault is only closing, and its overdue timers would spin.
  if (!socket_) until = std::min(until, session_.next_due({}));
  if (socket_ && in_session_ && !fault_) until = std::min(until, session_.next_due(socket_->last_inbound()));
  if (state_ == State::Backoff) until = std::min(until, wait_over_);
  if (state_ == State::Draining) until = std::min(until, drain_until_);
  if (shared_.mailbox.retry()) until = std::min(until, Clock::now() + kMailboxRetry);
  return until;
}

}  // namespace hawser::host
