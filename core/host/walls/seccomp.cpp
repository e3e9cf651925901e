#include <sched.h>
#include <seccomp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "core/host/walls/walls.hpp"

// Which system calls the host may make: seccomp(2). The list follows systemd's @system-service, less what reaches out of
// the process (ptrace, signals, keys, new namespaces, System V IPC, real-time and asynchronous interfaces of the kernel).
namespace hawser::host {
namespace {

// clang-format off
// Named, since libseccomp knows which of them an architecture has.
constexpr const char* kAllowed[] = {
    // files
    "access", "chdir", "chmod", "chown", "close", "close_range", "copy_file_range", "creat", "dup", "dup2", "dup3",
    "faccessat", "faccessat2", "fadvise64", "fallocate", "fchdir", "fchmod", "fchmodat", "fchown", "fchownat", "fcntl",
    "fdatasync", "fgetxattr", "flistxattr", "flock", "fremovexattr", "fsetxattr", "fstat", "fstatfs", "fsync",
    "ftruncate", "futimesat", "getcwd", "getdents", "getdents64", "getxattr", "inotify_add_watch", "inotify_init",
    "inotify_init1", "inotify_rm_watch", "ioctl", "lchown", "lgetxattr", "link", "linkat", "listxattr", "llistxattr",
    "lremovexattr", "lseek", "lsetxattr", "lstat", "mkdir", "mkdirat", "mknod", "mknodat", "newfstatat", "open",
    "openat", "openat2", "pread64", "preadv", "preadv2", "pwrite64", "pwritev", "pwritev2", "read", "readahead",
    "readlink", "readlinkat", "readv", "removexattr", "rename", "renameat", "renameat2", "rmdir", "sendfile",
    "setxattr", "splice", "stat", "statfs", "statx", "symlink", "symlinkat", "sync_file_range", "syncfs", "tee",
    "truncate", "umask", "unlink", "unlinkat", "utime", "utimensat", "utimes", "vmsplice", "write", "writev",
    // memory
    "brk", "get_mempolicy", "madvise", "membarrier", "memfd_create", "mincore", "mlock", "mlock2", "mlockall", "mmap",
    "mprotect", "mremap", "msync", "munlock", "munlockall", "munmap", "pkey_alloc", "pkey_free", "pkey_mprotect",
    // threads, the process itself
    "arch_prctl", "capget", "exit", "exit_group", "futex", "futex_waitv", "get_robust_list", "getcpu", "getegid",
    "geteuid", "getgid", "getgroups", "getpgid", "getpgrp", "getpid", "getppid", "getpriority", "getresgid",
    "getresuid", "getrlimit", "getrusage", "getsid", "gettid", "getuid", "landlock_add_rule",
    "landlock_create_ruleset", "landlock_restrict_self", "prctl", "restart_syscall", "rseq", "sched_get_priority_max",
    "sched_get_priority_min", "sched_getaffinity", "sched_getattr", "sched_getparam", "sched_getscheduler",
    "sched_rr_get_interval", "sched_setaffinity", "sched_yield", "seccomp", "set_robust_list", "set_tid_address",
    "setpriority", "setrlimit", "sysinfo", "times", "uname", "wait4", "waitid",
    // waiting and time
    "alarm", "clock_getres", "clock_gettime", "clock_nanosleep", "epoll_create", "epoll_create1", "epoll_ctl",
    "epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd", "eventfd2", "getitimer", "gettimeofday", "nanosleep",
    "pause", "pipe", "pipe2", "poll", "ppoll", "pselect6", "select", "setitimer", "time", "timer_create",
    "timer_delete", "timer_getoverrun", "timer_gettime", "timer_settime", "timerfd_create", "timerfd_gettime",
    "timerfd_settime",
    // signals that the process handles
    "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait",
    "sigaltstack", "signalfd", "signalfd4",
    // network
    "bind", "connect", "getpeername", "getsockname", "getsockopt", "recvfrom", "recvmmsg", "recvmsg", "sendmmsg",
    "sendmsg", "sendto", "setsockopt", "shutdown",
    "getrandom"};
// No setsid and no setpgid: whatever is started stays in the group that hawserd ends.
constexpr const char* kToExecute[] = {"execve", "execveat", "fork", "vfork"};
constexpr const char* kToListen[] = {"listen", "accept", "accept4"};
// The first argument names a process.
constexpr const char* kSignals[] = {"kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"};
constexpr const char* kSignalsByDescriptor[] = {"pidfd_open", "pidfd_send_signal"};
// clang-format on

// Younger than libseccomp 2.5.4; from 424 on, a call has one number on all architectures: cachestat, fchmodat2, the three
// halves of futex, mseal.
constexpr int kAllowedNumbers[] = {451, 452, 454, 455, 456, 462};
// Calls that this build does not know: libraries that try them fall back on ENOSYS only. x32's numbers begin at 512.
constexpr int kFirstUnknown = 451, kLastUnknown = 511;

constexpr int kFamilies[] = {AF_UNIX, AF_INET, AF_INET6};

constexpr scmp_datum_t kNewNamespaces =
    CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

// libseccomp's own macros are compound literals, which C++ has not.
scmp_arg_cmp equal(unsigned argument, int value) {
  return {argument, SCMP_CMP_EQ, static_cast<std::uint32_t>(value), 0};
}
scmp_arg_cmp masked(unsigned argument, scmp_datum_t mask, scmp_datum_t value) {
  return {argument, SCMP_CMP_MASKED_EQ, mask, value};
}

struct Release {
  void operator()(void* filter) const { ::seccomp_release(filter); }
};

// Collects the first refusal, so that the list below reads as a list.
class Filter {
 public:
  Filter() : filter_(::seccomp_init(SCMP_ACT_ERRNO(EPERM))) {
    if (!filter_) {
      note(-ENOMEM);
      return;
    }
    note(::seccomp_attr_set(filter_.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_ERRNO(ENOSYS)));
    note(::seccomp_attr_set(filter_.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2));  // a search tree: 8 steps instead of 250
  }
  template <typename... Conditions>
  void rule(std::uint32_t action, int number, Conditions... conditions) {
    if (error_ != 0 || number < 0) return;  // negative: this architecture has no such call
    note(::seccomp_rule_add(filter_.get(), action, number, sizeof...(conditions), conditions...));
  }
  template <typename... Conditions>
  void allow(const char* name, Conditions... conditions) {
    rule(SCMP_ACT_ALLOW, ::seccomp_syscall_resolve_name(name), conditions...);
  }
  int load() {
    if (error_ == 0) note(::seccomp_load(filter_.get()));
    return error_;
  }

 private:
  void note(int status) {
    if (error_ == 0 && status < 0) error_ = -status;
  }
  std::unique_ptr<void, Release> filter_;
  int error_ = 0;
};

void allow_threads_and_programs(Filter& filter, bool execute) {
  // clone3 keeps its flags in memory, where a filter cannot look: libc falls back on clone.
  filter.rule(SCMP_ACT_ERRNO(ENOSYS), ::seccomp_syscall_resolve_name("clone3"));
  if (!execute) return filter.allow("clone", masked(0, kNewNamespaces | CLONE_THREAD, CLONE_THREAD));
  filter.allow("clone", masked(0, kNewNamespaces, 0));
  for (const char* name : kToExecute) filter.allow(name);
}

void allow_signals(Filter& filter, bool others) {
  const scmp_arg_cmp self = equal(0, ::getpid());
  for (const char* name : kSignals) others ? filter.allow(name) : filter.allow(name, self);
  if (!others) return filter.allow("pidfd_open", self);
  for (const char* name : kSignalsByDescriptor) filter.allow(name);
}

void allow_sockets(Filter& filter, bool listen) {
  for (const int family : kFamilies) filter.allow("socket", equal(0, family));
  // Routes and addresses (getaddrinfo, if_nametoindex); no other protocol of the kernel's.
  filter.allow("socket", equal(0, AF_NETLINK), equal(2, 0));
  filter.allow("socketpair", equal(0, AF_UNIX));
  if (!listen) return;
  for (const char* name : kToListen) filter.allow(name);
}

}  // namespace

Status limit_system_calls(const SystemCalls& allowed) {
  Filter filter;
  for (const char* name : kAllowed) filter.allow(name);
  allow_threads_and_programs(filter, allowed.execute);
  allow_signals(filter, allowed.signal_others);
  allow_sockets(filter, allowed.listen);
  // The limits of itself alone; 0 is itself.
  filter.allow("prlimit64", equal(0, 0));
  filter.allow("prlimit64", equal(0, ::getpid()));
  std::size_t next = 0;
  for (int number = kFirstUnknown; number <= kLastUnknown; ++number) {
    const bool known = next < std::size(kAllowedNumbers) && kAllowedNumbers[next] == number;
    if (known) ++next;
    filter.rule(known ? SCMP_ACT_ALLOW : SCMP_ACT_ERRNO(ENOSYS), number);
  }
  const int error = filter.load();
  if (error == 0) return ok();
  return Error{"seccomp", std::strerror(error)};
}

}  // namespace hawser::host
