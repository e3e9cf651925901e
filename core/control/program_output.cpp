#include "core/control/program_output.hpp"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "core/base/files.hpp"

namespace hawser::control {
namespace {

constexpr const char* kEnvironment[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "SYSTEMD_COLORS=0", nullptr};

int spawn(const std::vector<std::string>& words, int output, pid_t& pid) {
  std::vector<char*> argv;
  for (const auto& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDERR_FILENO);
  const int error = ::posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), const_cast<char**>(kEnvironment));
  ::posix_spawn_file_actions_destroy(&actions);
  return error;
}

// Until the program closes its output. The end of a log is what counts, so the beginning is let go.
Status collect(int pipe, std::size_t bytes_max, TimePoint deadline, std::string& text) {
  std::array<char, 65536> piece;
  for (;;) {
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now()).count();
    pollfd ready{pipe, POLLIN, 0};
    if (left <= 0 || ::poll(&ready, 1, static_cast<int>(left)) == 0) return Error{"timeout", "it did not end in time"};
    const ssize_t got = ::read(pipe, piece.data(), piece.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error{"io_error", std::strerror(errno)};
    if (got == 0) break;
    text.append(piece.data(), static_cast<std::size_t>(got));
    if (text.size() > 2 * bytes_max) text.erase(0, text.size() - bytes_max);
  }
  if (text.size() > bytes_max) text.erase(0, text.size() - bytes_max);
  return ok();
}

}  // namespace

Result<std::string> program_output(const std::vector<std::string>& words, std::size_t bytes_max, milliseconds limit) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0)
    return Error{"io_error", std::string("cannot make a pipe: ") + std::strerror(errno)};
  const Descriptor reading(ends[0]);
  Descriptor writing(ends[1]);
  pid_t pid = 0;
  if (const int error = spawn(words, writing.get(), pid); error != 0)
    return Error{error == ENOENT ? "not_found" : "io_error", words[0] + ": " + std::strerror(error)};
  writing.reset();
  std::string text;
  const Status collected = collect(reading.get(), bytes_max, Clock::now() + limit, text);
  if (!collected) ::kill(pid, SIGKILL);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
  if (!collected) return collected.error().with_context(words[0]);
  return text;
}

}  // namespace hawser::control
