#include "core/daemon/network_watch.hpp"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "core/daemon/network_notes.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::daemon;
using connection::NetworkChange;
using std::chrono::seconds;

namespace {

std::string message(int type, const std::string& body) {
  nlmsghdr head{};
  head.nlmsg_len = static_cast<unsigned>(NLMSG_LENGTH(body.size()));
  head.nlmsg_type = static_cast<unsigned short>(type);
  std::string bytes(reinterpret_cast<const char*>(&head), sizeof head);
  bytes += body;
  bytes.resize(NLMSG_ALIGN(bytes.size()));
  return bytes;
}

std::string address(int type, const std::string& bytes, unsigned char flags = 0) {
  ifaddrmsg head{};
  head.ifa_family = AF_INET6;
  head.ifa_index = 2;
  head.ifa_flags = flags;
  rtattr attribute{static_cast<unsigned short>(RTA_LENGTH(bytes.size())), IFA_ADDRESS};
  return message(type, std::string(reinterpret_cast<const char*>(&head), sizeof head) +
                           std::string(reinterpret_cast<const char*>(&attribute), sizeof attribute) + bytes);
}

void set_loopback(bool up) {
  const Descriptor socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = up ? IFF_UP | IFF_RUNNING : 0;
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) throw std::runtime_error("lo");
}

}  // namespace

TEST_CASE("[conn-20] an address that comes or goes is news, and one whose lifetime is refreshed is none") {
  LinkTable table;
  std::string what;
  bool done = false;
  const std::string one(16, '\1'), two(16, '\2');
  const auto take = [&](const std::string& bytes) { return table.take({bytes.data(), bytes.size()}, what, done); };
  CHECK(take(address(RTM_NEWADDR, one)));
  CHECK_FALSE(take(address(RTM_NEWADDR, one)));
  CHECK(take(address(RTM_NEWADDR, one, IFA_F_DEPRECATED)));
  CHECK(take(address(RTM_NEWADDR, one) + address(RTM_NEWADDR, two)));
  CHECK(take(address(RTM_DELADDR, two)));
  CHECK_FALSE(take(address(RTM_DELADDR, two)));
  CHECK_FALSE(take(std::string("\1\2\3")));
  CHECK_FALSE(take(address(RTM_NEWADDR, one).substr(0, 20)));
  CHECK_FALSE(done);
  CHECK_FALSE(take(message(NLMSG_DONE, std::string(4, '\0'))));
  CHECK(done);
}

TEST_CASE("[conn-20] a link that goes up or down is told by one word for all that comes with it") {
  if (::geteuid() != 0) return;  // needs a network of its own
  std::vector<std::string> seen;
  std::string problem;
  std::thread elsewhere([&] {
    if (::unshare(CLONE_NEWNET) != 0) return;
    try {
      Loop loop;
      const NetworkWatch watch(loop, [&](NetworkChange change, const std::string& what) {
        seen.push_back((change == NetworkChange::Route ? "route: " : "resumed: ") + what);
      });
      const auto run = [&](std::size_t want, milliseconds limit) {
        const TimePoint end = Clock::now() + limit;
        while (seen.size() < want && Clock::now() < end) loop.turn(std::min(end, Clock::now() + milliseconds(50)));
      };
      run(1, milliseconds(400));  // what stood there before is no news
      if (!seen.empty()) problem = "news at the start";
      set_loopback(true);
      run(1, seconds(10));
      set_loopback(false);
      run(2, seconds(10));
      run(3, milliseconds(400));
    } catch (const std::exception& mistake) {
      problem = mistake.what();
    }
  });
  elsewhere.join();
  CHECK(problem == "");
  CHECK(seen.size() == 2);
}

TEST_CASE("[F77] a sleep, and a time in which the agent stood still, count as resumed; a moment does not") {
  Loop loop;
  milliseconds with{1'000'000}, without{500'000};
  std::vector<std::string> seen;
  NetworkWatch watch(loop,
                     [&](NetworkChange change, const std::string& what) {
                       if (change == NetworkChange::Resumed) seen.push_back(what);
                     },
                     {[&] { return with; }, [&] { return without; }});
  const auto pass = [&](milliseconds asleep, milliseconds awake) {
    with += asleep + awake;
    without += awake;
    watch.look();
  };
  pass(milliseconds(0), seconds(5));
  pass(seconds(1), seconds(5));
  CHECK(seen.empty());
  pass(seconds(600), seconds(0));
  CHECK(seen == std::vector<std::string>{"the device slept for 600 s"});
  pass(milliseconds(0), seconds(25));  // 5 s late: a busy machine
  CHECK(seen.size() == 1);
  pass(milliseconds(0), seconds(90));  // SIGSTOP, SIGCONT
  REQUIRE(seen.size() == 2);
  CHECK(seen[1] == "the agent stood still for 90 s");
}

TEST_CASE("[state-2] a router whose routes change every two seconds does not push all else out of the history") {
  NetworkNotes notes;
  TimePoint now = Clock::now();
  std::vector<connection::Event> day;
  for (int i = 0; i < 24 * 3600 / 2; ++i) {
    now += seconds(2);
    if (const auto event = notes.note(NetworkChange::Route, "a route came", now)) day.push_back(*event);
  }
  CHECK(day.size() >= 100);
  CHECK(day.size() <= 170);
  CHECK(day.front().detail == "a route came");
  CHECK(day.back().detail.find("299 changes before it are not noted") != std::string::npos);
  CHECK(notes.note(NetworkChange::Resumed, "the device slept for 600 s", now)->reason == "resumed");
}
