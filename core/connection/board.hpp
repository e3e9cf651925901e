#pragma once

#include <utility>

#include "core/connection/connection_states.hpp"
#include "core/connection/main_connection.hpp"
#include "core/connection/reports.hpp"

namespace hawser::connection {

// The snapshot in the making: each change is told to the observer at once. Lives on the connection thread.
class Board {
 public:
  explicit Board(Observer& observer) : observer_(observer) {}

  const Snapshot& seen() const { return snapshot_; }

  template <typename Change>
  void change(Change change) {
    change(snapshot_);
    observer_.on_snapshot(snapshot_);
  }

  // `also`: what changes in the same moment, so that no snapshot contradicts itself.
  template <typename Also>
  void enter(State state, Also also) {
    change([&](Snapshot& s) {
      also(s);
      const bool resting = state == State::Idle || state == State::Waiting;
      s.device_state = resting ? kStateNames[0] : name_of(state);  // the guide has no word for waiting
      s.cloud_connection_state = resting ? "Unconnected" : state == State::RequestSuccess ? "Established" : "Request";
      if (state != State::RequestSuccess) {
        s.connected_at.reset();
        s.connected_since.reset();
      }
    });
  }
  void enter(State state) {
    enter(state, [](Snapshot&) {});
  }

  void process(const char* process_state) {
    change([&](Snapshot& s) { s.process_state = process_state; });
  }

  void count(const Reports::Counts& counts) {
    if (counts.dropped == snapshot_.reports_dropped && counts.full == snapshot_.report_queue_full_count &&
        counts.unbound == snapshot_.reports_unbound)
      return;
    change([&](Snapshot& s) {
      s.reports_dropped = counts.dropped;
      s.report_queue_full_count = counts.full;
      s.reports_unbound = counts.unbound;
    });
  }

 private:
  Observer& observer_;
  Snapshot snapshot_;
};

}  // namespace hawser::connection
