#include "core/control/ctl_terminal.hpp"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstring>
#include <system_error>

namespace hawser::control {

TerminalSize terminal_size() {
  winsize size{};
  if (!::isatty(STDOUT_FILENO) || ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return {};
  return {size.ws_col, size.ws_row};
}

bool write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t done = ::write(fd, text.data(), text.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(done));
  }
  return true;
}

bool print_now(std::string_view text) { return write_all(STDOUT_FILENO, text); }

int finish(const CtlOutcome& outcome) {
  const bool printed = print_now(outcome.out);
  const int number = errno;
  write_all(STDERR_FILENO, outcome.err);
  if (printed || number == EPIPE) return static_cast<int>(outcome.exit);
  write_all(STDERR_FILENO, std::string("hawserctl: cannot print: ") + std::strerror(number) + "\n");
  return static_cast<int>(CtlExit::Failed);
}

Interrupt::Interrupt() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGINT);
  ::sigaddset(&set, SIGTERM);
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  signals_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals_) throw std::system_error(errno, std::generic_category(), "cannot wait for Ctrl-C");
}

bool Interrupt::print(std::string_view text) const {
  while (!text.empty()) {
    pollfd both[] = {{signals_.get(), POLLIN, 0}, {STDOUT_FILENO, POLLOUT, 0}};
    if (::poll(both, 2, -1) < 0 && errno != EINTR) return false;
    if (both[0].revents != 0) {
      errno = EPIPE;
      return false;
    }
    const std::string_view piece = text.substr(0, PIPE_BUF);  // a pipe that is ready takes so much without a wait
    if (both[1].revents != 0 && !write_all(STDOUT_FILENO, piece)) return false;
    if (both[1].revents != 0) text.remove_prefix(piece.size());
  }
  return true;
}

bool Interrupt::wait(std::chrono::milliseconds time) const {
  // POLLERR comes unasked: the reader of a pipe is gone.
  pollfd both[] = {{signals_.get(), POLLIN, 0}, {STDOUT_FILENO, 0, 0}};
  ::poll(both, 2, static_cast<int>(time.count()));
  return both[0].revents != 0 || (both[1].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0;
}

}  // namespace hawser::control
