#include "core/daemon/network_watch.hpp"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>

#include "core/base/log.hpp"

namespace hawser::daemon {
namespace {

constexpr std::array<int, 3> kTables = {RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE};
constexpr int kMessagesPerTurn = 64;
constexpr std::size_t kMessageBytesMax = 64 * 1024;

milliseconds time_of(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::floor<milliseconds>(std::chrono::nanoseconds(time.tv_nsec));
}

std::string in_seconds(milliseconds time) { return std::to_string(time.count() / 1000) + " s"; }

}  // namespace

NetworkWatch::Times NetworkWatch::Times::of_system() {
  return {[] { return time_of(CLOCK_BOOTTIME); }, [] { return time_of(CLOCK_MONOTONIC); }};
}

NetworkWatch::NetworkWatch(Loop& loop, OnChange on_change, Times times)
    : loop_(loop), on_change_(std::move(on_change)), times_(std::move(times)) {
  slept_ = times_.with_sleep() - times_.without_sleep();
  watch_routes();
  watch_clock();
  set_timer();
}

NetworkWatch::~NetworkWatch() {
  loop_.cancel(gather_timer_);
  loop_.cancel(look_timer_);
  if (netlink_) loop_.unwatch(netlink_.get());
  if (clock_) loop_.unwatch(clock_.get());
}

void NetworkWatch::watch_routes() {
  netlink_.reset(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE;
  if (!netlink_ || ::bind(netlink_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    spdlog::warn("changes of the network are not noticed at once: netlink: {}", std::strerror(errno));
    return netlink_.reset();
  }
  loop_.watch(netlink_.get(), POLLIN, [this](short) { on_messages(); });
  ask_for_dump();
}

// A timer far away on the wall clock which the kernel cancels when that clock is set, as it does after a sleep: it
// costs no wake-up (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET).
void NetworkWatch::watch_clock() {
  clock_.reset(::timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!clock_) return;  // look() comes by its own timer
  arm_clock();
  loop_.watch(clock_.get(), POLLIN, [this](short) {
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t got = ::read(clock_.get(), &count, sizeof count);  // ECANCELED is the point
    arm_clock();
    look();
  });
}

void NetworkWatch::arm_clock() {
  itimerspec far{};
  far.it_value.tv_sec = std::time(nullptr) + 10L * 365 * 24 * 3600;
  ::timerfd_settime(clock_.get(), TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &far, nullptr);
}

void NetworkWatch::set_timer() {
  look_due_ = times_.without_sleep() + kLookEvery;
  look_timer_ = loop_.after(kLookEvery, [this] {
    look();
    set_timer();
  });
}

void NetworkWatch::look() {
  const milliseconds now = times_.without_sleep();
  const milliseconds slept = times_.with_sleep() - now;
  const milliseconds slept_now = slept - slept_;
  const milliseconds late = now - look_due_;
  slept_ = slept;
  look_due_ = std::max(look_due_, now);
  if (slept_now >= kSleptMin)
    return on_change_(connection::NetworkChange::Resumed, "the device slept for " + in_seconds(slept_now));
  if (late >= kStoodStillMin)
    on_change_(connection::NetworkChange::Resumed, "the agent stood still for " + in_seconds(late));
}

void NetworkWatch::ask_for_dump() {
  if (dump_ >= static_cast<int>(kTables.size())) return;
  last_dump_ = Clock::now();
  struct {
    nlmsghdr head;
    rtgenmsg what;
  } request{};
  request.head.nlmsg_len = NLMSG_LENGTH(sizeof request.what);
  request.head.nlmsg_type = static_cast<std::uint16_t>(kTables[static_cast<std::size_t>(dump_)]);
  request.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.what.rtgen_family = AF_UNSPEC;
  if (::send(netlink_.get(), &request, request.head.nlmsg_len, 0) < 0) dump_ = static_cast<int>(kTables.size());
}

void NetworkWatch::on_messages() {
  static thread_local std::array<char, kMessageBytesMax> bytes;
  for (int i = 0; i < kMessagesPerTurn; ++i) {
    const ssize_t got = ::recv(netlink_.get(), bytes.data(), bytes.size(), 0);
    if (got < 0 && errno == ENOBUFS) {  // some were lost: who knows what they said
      table_.forget();                  // what is said again counts as news then, and no word comes oftener than kApart
      const bool reading = dump_ < static_cast<int>(kTables.size());
      if (!reading && Clock::now() - last_dump_ >= kDumpApart) {
        dump_ = 0;
        ask_for_dump();
      }
      return gather("too many changes to follow");
    }
    if (got < 0) return;
    bool done = false;
    std::string what;
    const bool reading = dump_ < static_cast<int>(kTables.size());
    const bool changed = table_.take({bytes.data(), static_cast<std::size_t>(got)}, what, done);
    if (changed && !reading) gather(what);
    if (done && reading) {
      ++dump_;
      ask_for_dump();
    }
  }
}

void NetworkWatch::gather(const std::string& what) {
  what_ = what;
  if (gather_timer_ != 0) return;
  const auto since = std::chrono::ceil<milliseconds>(Clock::now() - last_word_);
  gather_timer_ = loop_.after(last_word_ == TimePoint{} ? kGather : std::max(kGather, kApart - since), [this] {
    gather_timer_ = 0;
    last_word_ = Clock::now();
    on_change_(connection::NetworkChange::Route, what_);
  });
}

}  // namespace hawser::daemon
