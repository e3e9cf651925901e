#include "core/connection/session.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>

#include "core/connection/link.hpp"

namespace hawser::connection {

Session::Session(Shared& shared, const DeviceKey& key) : shared_(shared), key_(key) {
  const bool first_time = !shared_.waits.has_servers();
  adopt();  // a lease that was there before the start
  follow_list();
  if (!first_time || !shared_.settings.remember_server || !shared_.waits.has_servers()) return;
  // A leased name goes before what was remembered (conn-11 before conn-10).
  if (roster_.at(0)->target.source == Target::Source::Dhcp) return;
  const auto keys = roster_.keys();
  const auto last = std::find(keys.begin(), keys.end(), shared_.last_server);
  if (last != keys.end()) shared_.waits.start_at(static_cast<std::size_t>(last - keys.begin()));
}

Outcome Session::perform(Action action, std::size_t server) {
  // An open connection is left in good order: by the link, which looks for itself.
  Outcome outcome = Outcome::Changed;
  if (action == Action::Serve) {
    outcome = serve();
  } else {
    take_requests(shared_);
    refuse_unbindings();
    if (action == Action::Dial) server_ = roster_.at(server);
    const auto interrupted = shared_.interrupts.taken();
    outcome = interrupted ? *interrupted : step(action);
  }
  return settled(outcome);
}

// What a reset and a change mean for the waits and the list.
Outcome Session::settled(Outcome outcome) {
  if (outcome == Outcome::Reset) shared_.waits.reset(shared_.interrupts.first());
  if (outcome == Outcome::Changed) adopt();
  return outcome;
}

Outcome Session::step(Action action) {
  switch (action) {
    case Action::Dial:
      return dial();
    case Action::Authenticate:
      return authenticate();
    case Action::KeepToken:
      return keep_token();
    case Action::Register:
      return register_device();
    case Action::DialConnection:
      return dial_connection();
    default:
      return upgrade();
  }
}

Outcome Session::wait_until(TimePoint due) {
  stream_.reset();
  socket_.reset();
  present_.reset();
  show_wait(due);
  Outcome outcome = Outcome::WaitOver;
  for (;;) {
    take_requests(shared_);
    refuse_unbindings();
    if (const auto interrupted = shared_.interrupts.taken(); interrupted && *interrupted != Outcome::Changed) {
      outcome = *interrupted;
      break;
    }
    if (adopt()) show_wait(due = shared_.waits.due());
    if (Clock::now() >= due) break;
    shared_.interrupts.waker().wait({}, due);
  }
  shared_.board.change([&](Snapshot& s) {
    s.next_attempt_at.reset();
    s.backoff = milliseconds(0);
  });
  return settled(outcome);
}

void Session::entered(State from, State to, Outcome outcome) {
  const auto& last_down = shared_.board.seen().last_down;
  std::string reason(name_of(outcome));
  const bool setback = outcome == Outcome::Failed || outcome == Outcome::TokenRefused ||
                       outcome == Outcome::NotRegistered || outcome == Outcome::NonceRequired;
  if (setback) reason += ": " + setback_.error.code + " (" + setback_.error.message + ")";
  if (from == State::RequestSuccess && last_down) reason += ": " + last_down->code + " (" + last_down->message + ")";
  spdlog::info("main connection: {} -> {}, {}", name_of(from), name_of(to), reason);
  if (outcome == Outcome::Failed) {
    if (server_) server_->failure = setback_.error;
    shared_.board.change([&](Snapshot& s) { s.failure = setback_.error; });
  }
  shared_.established = to == State::RequestSuccess;
  to == State::RequestSuccess ? note_up() : shared_.board.enter(to);
  show_servers();
  keep_waits();
}

// Who sees the new state has been told of the move before it.
void Session::note_up() {
  server_->failure.reset();
  note_move();
  shared_.tell({"up", "", "",
                server_->origin.text() + ", connection " + registration_.url.origin.text() + " (" +
                    shared_.board.seen().server_address + ")"});
  shared_.board.enter(State::RequestSuccess, [&](Snapshot& s) {
    s.connected_at = std::chrono::system_clock::now();
    s.connected_since = Clock::now();
    s.failure.reset();
  });
}

// Another server of the list than the one before: the hosts leave it too (sdk/protocol.md §5).
void Session::note_move() {
  const std::string key = key_of(*present_);
  const std::string before = std::exchange(shared_.connected_to, key);
  if (!before.empty() && before != key) {
    shared_.observer.on_server_changed();
    const Server* old = roster_.find(before);  // where nobody took it from the list, it failed
    if (old != nullptr && old->failure)
      shared_.tell({"failover", "", old->failure->code, "from " + before + " to " + key});
  }
  if (std::exchange(shared_.last_server, key) != key)
    shared_.writer.write(shared_.identity.state_dir / "last_server", key,
                         "the server to start with is not kept over a restart");
}

Outcome Session::serve() {
  Link link(shared_, *socket_, registration_.spread, *present_, [this] { return adopt(); });
  const TimePoint began = Clock::now();
  const Outcome outcome = link.run();
  loss_.lived = std::chrono::duration_cast<milliseconds>(Clock::now() - began);
  loss_.spread = registration_.spread;
  loss_.retry_after = link.drain_retry();
  loss_.local = link.lost_locally();
  socket_.reset();
  // What it asked for on its end is not the affair of the server that took its place meanwhile.
  const bool gone = outcome != Outcome::Stopped && outcome != Outcome::Reset && current_key() != key_of(*present_);
  return gone ? Outcome::Changed : outcome;
}

}  // namespace hawser::connection