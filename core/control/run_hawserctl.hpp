#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <vector>

#include "core/base/files.hpp"
#include "core/base/waker.hpp"
#include "tests/catch.hpp"
#include "tests/test_folder.hpp"

// For tests: runs the real hawserctl.
namespace hawser::control {

struct Ran {
  int exit = -1;
  std::string out, err;
};

inline std::string extra_environment;  // "NAME=value", or empty

// -1 for a descriptor that is to be closed in the program.
inline pid_t spawn_hawserctl(int in, int out, int err, const std::vector<std::string>& arguments) {
  std::vector<std::string> words = {HAWSERCTL};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  for (const auto& [from, to] : {std::pair(in, 0), std::pair(out, 1), std::pair(err, 2)}) {
    if (from < 0) ::posix_spawn_file_actions_addclose(&actions, to);
    if (from >= 0) ::posix_spawn_file_actions_adddup2(&actions, from, to);
  }
  pid_t pid = 0;
  char zone[] = "TZ=UTC";
  char* environment[] = {zone, extra_environment.empty() ? nullptr : extra_environment.data(), nullptr};
  const int failed = ::posix_spawn(&pid, HAWSERCTL, &actions, nullptr, argv.data(), environment);
  ::posix_spawn_file_actions_destroy(&actions);
  REQUIRE(failed == 0);
  return pid;
}

inline int exit_of(pid_t pid) {
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

inline Ran run_with(int out, int err, const std::vector<std::string>& arguments, int in = -1) {
  Ran ran;
  ran.exit = exit_of(spawn_hawserctl(in, out, err, arguments));
  return ran;
}

inline std::string content(const std::filesystem::path& file) { return read_file(file, 16 * 1024 * 1024).value(); }

// Into files: what is printed may be longer than a pipe takes while we wait. `input`: what stands on standard input.
inline Ran run(const std::vector<std::string>& arguments, const std::string& input = "") {
  const TestFolder folder;
  const auto open = [&](const char* name) {
    return Descriptor(::open((folder.path() / name).c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  };
  const Descriptor in = open("in"), out = open("out"), err = open("err");
  REQUIRE(::pwrite(in.get(), input.data(), input.size(), 0) == static_cast<ssize_t>(input.size()));
  Ran ran = run_with(out.get(), err.get(), arguments, in.get());
  ran.out = content(folder.path() / "out");
  ran.err = content(folder.path() / "err");
  return ran;
}

// One that goes on; its standard output (and errors) come through a pipe or a terminal.
class Running {
 public:
  // `terminal`: the other end of what the program prints to; empty: a pipe is made.
  explicit Running(const std::vector<std::string>& arguments) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    reading_.reset(ends[0]);
    const Descriptor writing(ends[1]);
    pid_ = spawn_hawserctl(-1, writing.get(), writing.get(), arguments);
  }
  Running(const std::vector<std::string>& arguments, Descriptor terminal, int inner) : reading_(std::move(terminal)) {
    pid_ = spawn_hawserctl(inner, inner, inner, arguments);
  }
  ~Running() {
    if (pid_ == 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  // What has been printed so far, once `part` stands in it; what came otherwise, when it does not come in time.
  std::string wait_for(const std::string& part, milliseconds limit = std::chrono::seconds(20)) {
    const TimePoint deadline = Clock::now() + limit;
    while (text_.find(part) == std::string::npos && Clock::now() < deadline) {
      pollfd ready{reading_.get(), POLLIN, 0};
      const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()).count();
      if (::poll(&ready, 1, static_cast<int>(left)) <= 0) break;
      char piece[65536];
      const ssize_t got = ::read(reading_.get(), piece, sizeof piece);
      if (got <= 0) break;
      text_.append(piece, static_cast<std::size_t>(got));
    }
    return text_;
  }
  bool type(const std::string& text) const {  // on its terminal
    return ::write(reading_.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
  }
  void forget() { text_.clear(); }
  void close_pipe() { reading_.reset(); }
  int end(int signal) {
    if (signal != 0) ::kill(pid_, signal);
    const int code = exit_of(pid_);
    pid_ = 0;
    return code;
  }

 private:
  Descriptor reading_;
  pid_t pid_ = 0;
  std::string text_;
};

}  // namespace hawser::control
