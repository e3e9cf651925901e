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
#include <cstring>

namespace hawser::supervisor {
namespace {

constexpr int kDyingMs = 1000;
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

  void own_group_and_fresh_signals() {
    sigset_t none, all;
    ::sigemptyset(&none);
    ::sigfillset(&all);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    ::posix_spawnattr_setpgroup(&attributes, 0);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setsigdefault(&attributes, &all);
  }

  void descriptors(int output, int channel) {
    ::posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_adddup2(&files, output, STDOUT_FILENO);
    ::posix_spawn_file_actions_adddup2(&files, output, STDERR_FILENO);
    if (channel >= 0) ::posix_spawn_file_actions_adddup2(&files, channel, 3);
    // Everything of ours is close-on-exec; this holds even if a library of ours forgot one.
    ::posix_spawn_file_actions_addclosefrom_np(&files, channel >= 0 ? 4 : 3);
  }

  posix_spawn_file_actions_t files;
  posix_spawnattr_t attributes;
};

std::vector<char*> pointers_to(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const auto& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// A copy of `fd` above every number that the child gets, so that no dup2 closes what another one still needs.
Descriptor raised(int fd) { return Descriptor(fd < 0 ? -1 : ::fcntl(fd, F_DUPFD_CLOEXEC, kFirstFree)); }

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
  const Descriptor channel = raised(spec.channel);
  if (!output || (spec.channel >= 0 && !channel)) return system_error("copy a descriptor", errno);
  SpawnArguments arguments;
  arguments.own_group_and_fresh_signals();
  arguments.descriptors(output.get(), channel.get());
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
  std::unique_ptr<ChildProcess> child(new ChildProcess(loop, pid, std::move(pidfd), std::move(pipe->first)));
  if (!watchable) return system_error("watch " + spec.command[0] + " (pidfd_open, Linux 5.3)", number);
  loop.watch(child->pidfd_.get(), POLLIN, [&loop, fd = child->pidfd_.get(), on_end = std::move(on_end)](short) {
    loop.unwatch(fd);
    on_end();
  });
  return child;
}

void ChildProcess::signal_group(int number) {
  if (!reaped_) ::kill(-pid_, number);
}

ExitCause ChildProcess::reap(bool kill_rest) {
  if (pidfd_) loop_.unwatch(pidfd_.get());
  // Before the reaping, which frees the number for somebody else's process.
  if (kill_rest) ::kill(-pid_, SIGKILL);
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
  ::kill(-pid_, SIGKILL);
  pollfd end{pidfd_.get(), POLLIN, 0};
  // One that even SIGKILL does not end at once hangs in the kernel: init will reap it.
  if (!pidfd_ || ::poll(&end, 1, kDyingMs) > 0) {
    reap(true);
  } else {
    loop_.unwatch(pidfd_.get());
  }
}

}  // namespace hawser::supervisor
