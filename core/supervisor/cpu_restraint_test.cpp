#include "core/supervisor/cpu_restraint.hpp"

#include <linux/capability.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <functional>
#include <new>
#include <thread>

#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::supervisor;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t kAll = 6400;  // more than any machine here has

// A process of two threads that spin until they are told to be calm.
class Busy {
 public:
  Busy() {
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ > 0) return;
    std::thread([this] {
      spin();
      for (;;) ::pause();
    }).detach();
    spin();
    for (;;) ::pause();
  }
  Busy(const Busy&) = delete;
  Busy& operator=(const Busy&) = delete;
  ~Busy() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ::munmap(spinning_, sizeof(std::atomic<bool>));
  }

  pid_t pid() const { return pid_; }
  void be_calm() const { *spinning_ = false; }
  // Whether every thread has this policy, and there are so many at least: a sanitizer has one of its own.
  bool all(int policy, int threads) const {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(pid_) + "/task")) {
      if (::sched_getscheduler(std::atoi(entry.path().filename().c_str())) != policy) return false;
      ++count;
    }
    return count >= threads;
  }

 private:
  void spin() const {
    while (*spinning_) {
    }
  }
  static std::atomic<bool>* shared_flag() {
    void* const memory =
        ::mmap(nullptr, sizeof(std::atomic<bool>), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    REQUIRE(memory != MAP_FAILED);
    return new (memory) std::atomic<bool>(true);
  }
  std::atomic<bool>* const spinning_ = shared_flag();
  pid_t pid_ = -1;
};

bool comes_true(Loop& loop, const std::function<bool()>& wanted) {
  const TimePoint end = Clock::now() + 20s;
  while (!wanted() && Clock::now() < end) loop.turn(Clock::now() + 10ms);
  return wanted();
}

}  // namespace

TEST_CASE("[iso-2] a host over its share of the processor runs when nobody else wants to, until it is calm") {
  if (::geteuid() != 0) return;
  Loop loop;
  CpuRestraint restraint(loop);
  const Busy busy;
  restraint.hold("acme.shop", busy.pid(), 50);
  CHECK_FALSE(restraint.restrains("acme.shop"));
  CHECK(comes_true(loop, [&] { return busy.all(SCHED_IDLE, 2); }));
  CHECK(restraint.restrains("acme.shop"));
  busy.be_calm();
  CHECK(comes_true(loop, [&] { return busy.all(SCHED_OTHER, 2); }));
  CHECK_FALSE(restraint.restrains("acme.shop"));
}

TEST_CASE("[iso-2] a host within its share is not restrained beside one that is over its own") {
  if (::geteuid() != 0) return;
  Loop loop;
  CpuRestraint restraint(loop);
  const Busy modest, greedy;
  restraint.hold("acme.modest", modest.pid(), kAll);
  restraint.hold("acme.greedy", greedy.pid(), 1);
  CHECK(comes_true(loop, [&] { return greedy.all(SCHED_IDLE, 2); }));
  const TimePoint end = Clock::now() + 4 * CpuRestraint::kTick;  // of two threads' processor time
  while (Clock::now() < end) loop.turn(end);
  CHECK(modest.all(SCHED_OTHER, 2));
  restraint.let_go("acme.greedy");
  CHECK_FALSE(restraint.restrains("acme.greedy"));
  restraint.let_go("acme.unknown");
}

TEST_CASE("[iso-2] without the right to take a restraint away again there is none") {
  if (::geteuid() != 0) return;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct before[2] = {};
  REQUIRE(::syscall(SYS_capget, &header, before) == 0);
  __user_cap_data_struct fewer[2] = {before[0], before[1]};
  fewer[0].effective &= ~(1u << CAP_SYS_NICE);
  REQUIRE(::syscall(SYS_capset, &header, fewer) == 0);
  Loop loop;
  CpuRestraint restraint(loop);
  ::syscall(SYS_capset, &header, before);
  const Busy busy;
  restraint.hold("acme.shop", busy.pid(), 1);
  const TimePoint end = Clock::now() + 4 * CpuRestraint::kTick;
  while (Clock::now() < end) loop.turn(end);
  CHECK(busy.all(SCHED_OTHER, 2));
  CHECK_FALSE(restraint.restrains("acme.shop"));
}

TEST_CASE("a host that has ended already is no fault") {
  Loop loop;
  CpuRestraint restraint(loop);
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  siginfo_t ended{};
  REQUIRE(::waitid(P_PID, static_cast<id_t>(child), &ended, WEXITED | WNOWAIT) == 0);
  restraint.hold("acme.shop", child, 50);
  loop.turn(Clock::now());
  CHECK_FALSE(restraint.restrains("acme.shop"));
  restraint.let_go("acme.shop");
  ::waitpid(child, nullptr, 0);
}
