#include "core/supervisor/child_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>

namespace hawser::supervisor {
namespace {

constexpr int kDyingMs = 1000;
constexpr int kSweepsMax = 8;
constexpr int kFirstGiven = 3;
constexpr int kFirstFree = 16;  // our ends of what the child gets stand above every number that it gets them at

Error system_error(const std::string& doing, int number) {
  return {"exited", "cannot " + doing + ": " + std::strerror(number)};
}

// The arguments of one posix_spawn call, and their release.
struct SpawnArguments {
  SpawnArguments() {
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawnattr_init(&attributes);
  }
  SpawnArguments(const SpawnArguments&) = delete;
  SpawnArguments& operator=(const SpawnArguments&) = delete;
  ~SpawnArguments() {
    ::posix_spawn_file_actions_destroy(&files);
    ::posix_spawnattr_destroy(&attributes);
  }

  void own_group_and_fresh_signals(bool own_session) {
    sigset_t none, all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    const int own = own_session ? POSIX_SPAWN_SETSID : POSIX_SPAWN_SETPGROUP;
    ::posix_spawnattr_setflags(&attributes, static_cast<short>(own | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF));
    ::posix_spawnattr_setpgroup(&attributes, 0);
    if (own_session) ::posix_spawn_file_actions_addchdir_np(&files, "/");
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setsigdefault(&attributes, &all);
  }

  void descriptors(int output, const std::vector<Descriptor>& given) {
    ::posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&files, output, STDERR_FILENO);
    int number = kFirstGiven;
    for (const auto& one : given) ::posix_spawn_file_actions_adddup2(&files, one.get(), number++);
    // Everything of ours is close-on-exec; this holds even if a library of ours forgot one.
    ::posix_spawn_file_actions_addclosefrom_np(&files, number);
  }

  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
};

// The session of a process that lives, 0 for any other.
pid_t session_of(const std::string& process) {
  const auto stat = read_file("/proc/" + process + "/stat", 4096);
  const auto name_ends = stat ? stat->rfind(')') : std::string::npos;  // a name may hold spaces and brackets
  char state = 0;
  int parent = 0, group = 0, session = 0;
  if (name_ends == std::string::npos) return 0;
  if (std::sscanf(stat->c_str() + name_ends + 1, " %c %d %d %d", &state, &parent, &group, &session) != 4) return 0;
  return state == 'Z' ? 0 : session;
}

// To every process of the session but its leader's group. False: there is none.
bool signal_session(pid_t leader, int number) {
  bool found = false;
  std::error_code fault;
  for (std::filesystem::directory_iterator at("/proc", fault), end; !fault && at != end; at.increment(fault)) {
    const std::string name = at->path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos || session_of(name) != leader) continue;
    const pid_t process = static_cast<pid_t>(std::stol(name));
    const Descriptor pidfd(static_cast<int>(::syscall(SYS_pidfd_open, process, 0)));
    // Asked again now that the number cannot go to another one.
    if (!pidfd || session_of(name) != leader || ::getpgid(process) == leader) continue;
    found = ::syscall(SYS_pidfd_send_signal, pidfd.get(), number, nullptr, 0) == 0 || found;
  }
  return found;
}

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const auto& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// A copy of `fd` above every number that the child gets, so that no dup2 closes what another one still needs.
Descriptor raised(int fd) { return Descriptor(::fcntl(fd, F_DUPFD_CLOEXEC, kFirstFree)); }

Result<std::pair<Descriptor, Descriptor>> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return system_error("make a pipe", errno);
  std::pair<Descriptor, Descriptor> pipe{Descriptor(ends[0]), Descriptor(ends[1])};
  // Our end only: the child's is an ordinary blocking standard output.
  if (::fcntl(pipe.first.get(), F_SETFL, O_NONBLOCK) != 0) return system_error("set up a pipe", errno);
  return pipe;
}

}  // namespace

std::string signal_name(int number) {
  const char* name = ::sigabbrev_np(number);
  return name ? std::string("SIG") + name : "signal " + std::to_string(number);
}

std::string ExitCause::sentence() const {
  if (exit_code) return "exited with code " + std::to_string(*exit_code);
  const char* words = ::sigdescr_np(signal);
  return "was ended by " + signal_name(signal) + (words ? std::string(" (") + words + ")" : std::string());
}

Result<std::unique_ptr<ChildProcess>> ChildProcess::start(Loop& loop, const ChildSpec& spec, OnEnd on_end) {
  auto pipe = make_pipe();
  if (!pipe) return pipe.error();
  const Descriptor output = raised(pipe->second.get());
  if (!output) return system_error("copy a descriptor", errno);
  std::vector<Descriptor> given;
  for (const int fd : spec.descriptors) {
    given.push_back(raised(fd));
    if (!given.back()) return system_error("copy a descriptor", errno);
  }
  SpawnArguments arguments;
  arguments.own_group_and_fresh_signals(spec.own_session);
  arguments.descriptors(output.get(), given);
  const auto command = pointers_to(spec.command), environment = pointers_to(spec.environment);
  pid_t pid = -1;
  // posix_spawn cannot set the mask. Ours changes for a moment; every file of ours is made with its mode said outright.
  const mode_t own_mask = ::umask(spec.file_mask);
  const int problem = ::posix_spawn(&pid, spec.command.at(0).c_str(), &arguments.files, &arguments.attributes,
                                    command.data(), environment.data());
  ::umask(own_mask);
  if (problem != 0) return system_error("start " + spec.command[0], problem);
  Descriptor pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));  // close-on-exec by itself
  const int number = errno;
  const bool watchable = static_cast<bool>(pidfd);
  std::unique_ptr<ChildProcess> child(new ChildProcess(loop, pid, spec.own_session, std::move(pidfd), std::move(pipe->first)));
  if (!watchable) return system_error("watch " + spec.command[0] + " (pidfd_open, Linux 5.3)", number);
  loop.watch(child->pidfd_.get(), POLLIN, [&loop, fd = child->pidfd_.get(), on_end = std::move(on_end)](short) {
    loop.unwatch(fd);
    on_end();
  });
  return child;
}

void ChildProcess::signal_group(int number) {
  if (reaped_) return;
  ::kill(-pid_, number);
  if (own_session_) signal_session(pid_, number);
}

void ChildProcess::kill_all() {
  ::kill(-pid_, SIGKILL);
  // One that forks while we look is found in the next round.
  for (int round = 0; own_session_ && round < kSweepsMax && signal_session(pid_, SIGKILL); ++round) {
  }
}

ExitCause ChildProcess::reap(bool kill_rest) {
  if (pidfd_) loop_.unwatch(pidfd_.get());
  // Before the reaping, which frees the number for somebody else's process.
  if (kill_rest) kill_all();
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  reaped_ = true;
  ExitCause cause;
  if (WIFSIGNALED(status)) {
    cause.signal = WTERMSIG(status);
  } else {
    cause.exit_code = WEXITSTATUS(status);
  }
  return cause;
}

ChildProcess::~ChildProcess() {
  if (reaped_) return;
  kill_all();
  pollfd end{pidfd_.get(), POLLIN, 0};
  // One that even SIGKILL does not end at once hangs in the kernel: init will reap it.
  if (!pidfd_ || ::poll(&end, 1, kDyingMs) > 0) {
    reap(true);
  } else {
    loop_.unwatch(pidfd_.get());
  }
}

}  // namespace hawser::supervisor
