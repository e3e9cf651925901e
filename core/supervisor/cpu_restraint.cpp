#include "core/supervisor/cpu_restraint.hpp"

#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <system_error>

#include "core/base/log.hpp"

namespace hawser::supervisor {
namespace {

using std::chrono::nanoseconds;

constexpr int kPasses = 4;  // over a host's threads: those that were born meanwhile take after their parents
constexpr std::size_t kThreadsMax = 4096;  // in one pass

int signal_number() { return SIGRTMIN + 1; }

bool may_set_policies() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[2] = {};
  return ::syscall(SYS_capget, &header, sets) == 0 && (sets[0].effective & (1u << CAP_SYS_NICE)) != 0;
}

itimerspec every(milliseconds period) {
  const timespec time{period.count() / 1000, period.count() % 1000 * 1'000'000};
  return {time, time};
}

nanoseconds used(clockid_t clock) {
  timespec now{};
  if (::clock_gettime(clock, &now) != 0) return {};  // it has ended
  return std::chrono::seconds(now.tv_sec) + nanoseconds(now.tv_nsec);
}

// Of every thread of the process, which may start others meanwhile. The first refusal, or 0.
int set_policy(pid_t process, int policy) {
  const sched_param none{};
  for (int pass = 0; pass < kPasses; ++pass) {
    bool changed = false;
    std::size_t seen = 0;
    std::error_code ended;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/task", ended)) {
      const pid_t thread = std::atoi(entry.path().filename().c_str());
      if (++seen > kThreadsMax) break;
      if (::sched_getscheduler(thread) == policy) continue;
      if (::sched_setscheduler(thread, policy, &none) == 0) {
        changed = true;
      } else if (errno != ESRCH) {
        return errno;
      }
    }
    if (!changed) break;
  }
  return 0;
}

}  // namespace

struct CpuRestraint::Host {
  std::string plugin;
  pid_t pid = 0;
  std::int64_t percent = 0;
  clockid_t clock{};
  timer_t timer{};
  TimePoint last_tick{};
  bool restrained = false, told = false;
  nanoseconds used_when_looked_at{};
  TimePoint looked_at{};
  Loop::TimerId look = 0;

  // Whether `cpu` within `time` is more than its share.
  bool too_much(nanoseconds cpu, nanoseconds time) const { return cpu.count() * 100 > time.count() * percent; }
  void count(bool on) const {
    const itimerspec times = on ? every(kTick) : itimerspec{};
    ::timer_settime(timer, 0, &times, nullptr);
  }
};

CpuRestraint::CpuRestraint(Loop& loop) : loop_(loop), permitted_(may_set_policies()) {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, signal_number());
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signals_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_) throw std::system_error(errno, std::generic_category(), "signalfd");
  loop_.watch(signals_.get(), POLLIN, [this](short) { read_signals(); });
}

CpuRestraint::~CpuRestraint() {
  while (!hosts_.empty()) let_go(hosts_.begin()->second->plugin);
  loop_.unwatch(signals_.get());
}

void CpuRestraint::hold(const std::string& plugin, pid_t pid, std::int64_t percent) {
  let_go(plugin);
  if (!permitted_) return refused(plugin, "CAP_SYS_NICE is missing");
  auto host = std::make_unique<Host>();
  host->plugin = plugin;
  host->pid = pid;
  host->percent = percent;
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = signal_number();
  event.sigev_value.sival_int = ++last_number_;
  event._sigev_un._tid = ::gettid();
  if (const int problem = ::clock_getcpuclockid(pid, &host->clock)) return refused(plugin, std::strerror(problem));
  if (::timer_create(host->clock, &event, &host->timer) != 0) return refused(plugin, std::strerror(errno));
  host->last_tick = Clock::now();
  host->count(true);
  hosts_[last_number_] = std::move(host);
}

void CpuRestraint::let_go(const std::string& plugin) {
  const auto found =
      std::find_if(hosts_.begin(), hosts_.end(), [&](const auto& each) { return each.second->plugin == plugin; });
  if (found == hosts_.end()) return;
  loop_.cancel(found->second->look);
  ::timer_delete(found->second->timer);
  hosts_.erase(found);
}

bool CpuRestraint::restrains(const std::string& plugin) const {
  return std::any_of(hosts_.begin(), hosts_.end(),
                     [&](const auto& each) { return each.second->plugin == plugin && each.second->restrained; });
}

void CpuRestraint::read_signals() {
  signalfd_siginfo info{};
  while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    const auto found = hosts_.find(info.ssi_int);
    if (found != hosts_.end()) ticked(*found->second, 1 + static_cast<int>(info.ssi_overrun));
  }
}

void CpuRestraint::ticked(Host& host, int ticks) {
  const TimePoint now = Clock::now();
  const auto time = now - std::exchange(host.last_tick, now);
  if (!host.restrained && host.too_much(ticks * kTick, time)) restrain(host);
}

void CpuRestraint::restrain(Host& host) {
  if (const int problem = set_policy(host.pid, SCHED_IDLE)) return refused(host.plugin, std::strerror(problem));
  host.restrained = true;
  host.count(false);
  host.looked_at = Clock::now();
  host.used_when_looked_at = used(host.clock);
  host.look = loop_.after(kHeld, [this, &host] { look_again(host); });
  if (std::exchange(host.told, true)) return;
  spdlog::info(
      "{} uses more of the processor than its share (cpu_percent = {}): it runs when nobody else wants to, until "
      "it is calm",
      host.plugin, host.percent);
}

void CpuRestraint::look_again(Host& host) {
  const TimePoint now = Clock::now();
  const nanoseconds total = used(host.clock);
  const bool busy =
      host.too_much(total - std::exchange(host.used_when_looked_at, total), now - std::exchange(host.looked_at, now));
  host.look = 0;
  if (!busy) return release(host);
  host.look = loop_.after(kHeld, [this, &host] { look_again(host); });
}

void CpuRestraint::release(Host& host) {
  if (const int problem = set_policy(host.pid, SCHED_OTHER)) return refused(host.plugin, std::strerror(problem));
  host.restrained = false;
  host.last_tick = Clock::now();
  host.count(true);
}

void CpuRestraint::refused(const std::string& plugin, const std::string& what) {
  if (std::exchange(complained_, true)) return;
  spdlog::info("{}: what it takes of the processor at once is not restrained: {}; over 10 s its share is watched",
               plugin, what);
}

}  // namespace hawser::supervisor
