#pragma once

#include <functional>
#include <string>

#include "core/base/files.hpp"
#include "core/base/loop.hpp"
#include "core/connection/main_connection.hpp"
#include "core/daemon/link_table.hpp"

namespace hawser::daemon {

// Notices what the kernel tells of links, addresses and routes (rtnetlink), and that the device slept or this process
// stood still. On an idle device it wakes once in kLookEvery and does nothing.
// Owned by main(), lives on the loop's thread.
class NetworkWatch {
 public:
  static constexpr milliseconds kGather{250};  // changes come in swarms: one word for them all
  static constexpr milliseconds kApart{2000};  // from one word to the next
  static constexpr milliseconds kLookEvery{30'000};
  static constexpr milliseconds kDumpApart{30'000};      // a router's tables are long
  static constexpr milliseconds kSleptMin{2000};         // a shorter sleep breaks nothing
  static constexpr milliseconds kStoodStillMin{10'000};  // later than that is not just a busy machine

  // `what` names the (last) change in a few words.
  using OnChange = std::function<void(connection::NetworkChange, const std::string& what)>;

  // Time that only a test replaces.
  struct Times {
    std::function<milliseconds()> with_sleep;     // CLOCK_BOOTTIME
    std::function<milliseconds()> without_sleep;  // CLOCK_MONOTONIC
    static Times of_system();
  };

  // Without netlink (a sandbox that forbids it) the log says so once, and sleep alone is noticed.
  NetworkWatch(Loop& loop, OnChange on_change, Times times = Times::of_system());
  NetworkWatch(const NetworkWatch&) = delete;
  NetworkWatch& operator=(const NetworkWatch&) = delete;
  ~NetworkWatch();

  void look();  // whether the device slept or we stood still; by the timers, and by a test

 private:
  void watch_routes();
  void watch_clock();
  void arm_clock();
  void ask_for_dump();
  void on_messages();
  void gather(const std::string& what);
  void set_timer();

  Loop& loop_;
  OnChange on_change_;
  Times times_;
  Descriptor netlink_, clock_;
  LinkTable table_;
  int dump_ = 0;  // which of the tables is being read; past the last one: none
  std::string what_;
  Loop::TimerId gather_timer_ = 0, look_timer_ = 0;
  TimePoint last_word_{}, last_dump_{};
  milliseconds slept_, look_due_{};
};

}  // namespace hawser::daemon
