#include "core/control/password_prompt.hpp"

#include <poll.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>

#include "core/base/files.hpp"

namespace hawser::control {
namespace {

constexpr std::size_t kLineBytesMax = 1024;

// The signals that would end us, or stop us, while the terminal is silent; they count when this ends.
class HeldSignals {
 public:
  HeldSignals() {
    ::sigemptyset(&held_);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) ::sigaddset(&held_, signal);
    descriptor_.reset(::signalfd(-1, &held_, SFD_CLOEXEC | SFD_NONBLOCK));
    ::sigaddset(&held_, SIGTSTP);
    ::sigprocmask(SIG_BLOCK, &held_, &before_);
  }
  ~HeldSignals() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;
  int descriptor() const { return descriptor_.get(); }  // readable when asked to end

 private:
  sigset_t held_{}, before_{};
  Descriptor descriptor_;
};

// The terminal shows what is typed again when this ends.
class Silence {
 public:
  Silence() {
    if (::tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    silent.c_lflag |= ECHONL;
    silenced_ = ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) == 0;
  }
  ~Silence() {
    if (silenced_) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
  }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;
  bool worked() const { return silenced_; }

 private:
  termios before_{};
  bool silenced_ = false;
};

// `end_at`: readable when no more is to be waited for; -1 for none.
Result<std::string> read_line(int end_at) {
  std::string line;
  for (char c = 0; line.size() <= kLineBytesMax;) {
    pollfd both[] = {{STDIN_FILENO, POLLIN, 0}, {end_at, POLLIN, 0}};
    if (::poll(both, 2, -1) < 0 && errno != EINTR)
      return Error{"io_error", std::string("cannot wait for the password: ") + std::strerror(errno)};
    if (both[1].revents != 0) return Error{"cancelled", "no password was given; nothing was changed"};
    if (both[0].revents == 0) continue;
    const ssize_t got = ::read(STDIN_FILENO, &c, 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error{"io_error", std::string("cannot read the password: ") + std::strerror(errno)};
    if (got == 0 || c == '\n') break;
    line += c;
  }
  if (!line.empty() && line.back() == '\r') line.pop_back();
  if (line.empty()) return Error{"bad_request", "no password was given: type one, or send one line to standard input"};
  return line;
}

Result<std::string> ask(std::string_view question, int end_at) {
  [[maybe_unused]] const ssize_t shown = ::write(STDERR_FILENO, question.data(), question.size());
  return read_line(end_at);
}

}  // namespace

Result<std::string> read_new_password() {
  if (!::isatty(STDIN_FILENO)) return read_line(-1);
  const HeldSignals signals;
  const Silence silence;
  if (!silence.worked())
    return Error{"io_error", "this terminal cannot hide what is typed; send the password to standard input"};
  auto first = ask("New password: ", signals.descriptor());
  if (!first) return first;
  const auto again = ask("Once more: ", signals.descriptor());
  if (!again) return again;
  if (*first != *again) return Error{"bad_request", "the two passwords differ; nothing was changed"};
  return first;
}

}  // namespace hawser::control
