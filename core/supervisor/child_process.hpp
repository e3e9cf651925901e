#pragma once

#include <sys/types.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/base/files.hpp"
#include "core/base/loop.hpp"
#include "core/base/result.hpp"

namespace hawser::supervisor {

// How a child ended.
struct ExitCause {
  std::optional<int> exit_code;  // by itself
  int signal = 0;                // else by this one
  // "exited with code 3", "was ended by SIGSEGV (Segmentation fault)"
  std::string sentence() const;
};

// What to start. Nothing of ours leaks into the child: standard input is /dev/null, both outputs go into one pipe,
// `descriptors` stand at 3, 4, 5 in their order, every other one is closed, signals are unblocked and at their defaults, the
// environment is `environment` alone, and the child leads a process group of its own.
struct ChildSpec {
  std::vector<std::string> command;  // [0] is the path of the program
  std::vector<std::string> environment;
  std::vector<int> descriptors{};
  mode_t file_mask = 0077;  // umask(2) of the child
  // Leads a session too, and starts in /: signals and the end then reach every process of the session, whatever group a
  // shell put it in. Only what makes itself a daemon (setsid) is out of reach.
  bool own_session = false;
};

// A running child that leads its process group. Owned by who started it, lives on the loop's thread; `loop` must
// outlive it. Its destructor ends the whole group with SIGKILL and reaps the child.
class ChildProcess {
 public:
  // Told once, when the child has ended, and before it is reaped: its process group can still be named. May destroy the
  // ChildProcess only after end_group_and_reap().
  using OnEnd = std::function<void()>;

  // Starts it with posix_spawn(3). The Error names the program and the system's reason.
  static Result<std::unique_ptr<ChildProcess>> start(Loop& loop, const ChildSpec& spec, OnEnd on_end);

  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;
  ~ChildProcess();

  pid_t pid() const { return pid_; }
  // The read end of the child's standard output and error, non-blocking. The caller watches it.
  int output() const { return output_.get(); }

  // To the whole group, and session where it has its own. The child is not reaped before its end was seen, so the number is never somebody else's.
  void signal_group(int number);
  // After on_end: ends what is left of the group when `kill_rest`, and reaps the child.
  ExitCause reap(bool kill_rest);

 private:
  ChildProcess(Loop& loop, pid_t pid, bool own_session, Descriptor pidfd, Descriptor output)
      : loop_(loop), pid_(pid), own_session_(own_session), pidfd_(std::move(pidfd)), output_(std::move(output)) {}

  void kill_all();

  Loop& loop_;
  pid_t pid_;
  bool own_session_;
  Descriptor pidfd_, output_;
  bool reaped_ = false;
};

// "SIGSEGV"; "signal 40" for one without a name.
std::string signal_name(int number);

}  // namespace hawser::supervisor
