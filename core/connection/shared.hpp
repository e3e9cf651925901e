#pragma once

#include <atomic>
#include <optional>
#include <vector>

#include "core/base/file_writer.hpp"
#include "core/base/waker.hpp"
#include "core/connection/board.hpp"
#include "core/connection/commands.hpp"
#include "core/connection/connection_states.hpp"
#include "core/connection/reports.hpp"
#include "core/connection/requests.hpp"
#include "core/connection/validity_floor.hpp"
#include "core/connection/waits.hpp"

namespace hawser::connection {

milliseconds random_between(milliseconds least, milliseconds most);  // both ends included

// How another thread ends what the connection thread is doing. stop(), reset() and change() are for any thread.
class Interrupts {
 public:
  void stop() {
    stopping_ = true;
    waker_.cancel();
  }
  void reset(bool first) {
    if (first) first_ = true;
    resetting_ = true;
    waker_.cancel();
  }
  // What waits in the requests makes the attempt under way pointless.
  void change() {
    changing_ = true;
    waker_.cancel();
  }

  // Stopped for good, Reset or Changed once, or nothing. Rearms first: a flag that is set in between is seen here or by
  // the next wait, which finds the waker cancelled again.
  std::optional<Outcome> taken() {
    if (waker_.cancelled()) waker_.rearm();
    if (stopping_) return Outcome::Stopped;
    if (resetting_.exchange(false)) return Outcome::Reset;
    if (changing_.exchange(false)) return Outcome::Changed;
    return std::nullopt;
  }
  bool first() { return first_.exchange(false); }  // whether the reset that was taken goes to the head of the list

  bool stopping() const { return stopping_; }
  Waker& waker() { return waker_; }

 private:
  Waker waker_;
  std::atomic<bool> stopping_{false}, resetting_{false}, first_{false}, changing_{false};
};

// Somebody asked whether the cloud is reached: an extra keepalive's number once it went out on this connection.
struct Reach {
  std::uint64_t id = 0;
  std::int64_t seq = 0;  // 0: not sent yet
};

// What the session and the link of one connection after the other have in common. Owned by the main connection;
// everything but requests, reports and interrupts belongs to the connection thread.
struct Shared {
  Shared(config::Settings s, MainConnection::Identity i, MainConnection::Limits l, Observer& o)
      : settings(std::move(s)),
        identity(std::move(i)),
        limits(l),
        observer(o),
        board(o),
        commands(identity.state_dir / "commands.json", writer.hand_over()),
        floor(identity.state_dir / ValidityFloor::kFile, writer.hand_over()),
        waits(random_between) {
    read_kept();
  }

  // History, and a report to the cloud.
  void tell(const Event& event) {
    reports.push(event, floor.clock_is_trusted());
    observer.on_event(event);
  }

  config::Settings settings;
  std::optional<DhcpOffer> dhcp;
  const MainConnection::Identity identity;
  const MainConnection::Limits limits;
  Observer& observer;
  Interrupts interrupts;
  Requests requests;
  Reports reports;
  Board board;
  FileWriter writer;  // so that the connection never waits for a disk
  Commands commands;
  ValidityFloor floor;
  Waits waits;
  Waits::Memory kept_waits;  // as it was written last
  std::string last_server;   // that was connected, also before a restart
  std::string connected_to;  // the same of this process alone; empty: none yet
  std::vector<Offer> offers;
  std::vector<Reach> reach;
  std::vector<Requests::Unbinding> unbindings;  // asked for, not sent yet
  std::atomic<bool> established{false};         // to be read by any thread
  bool grants_wanted = false;

 private:
  void read_kept();  // on the main thread, before the connection's begins
};

// Takes over what other threads asked for: lists and marks are kept, results of commands are written down and returned
// as the messages to send.
std::vector<std::string> take_requests(Shared& shared);

}  // namespace hawser::connection
