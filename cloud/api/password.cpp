#include "cloud/api/password.hpp"

#include <termios.h>
#include <unistd.h>

#include <iostream>

namespace hawser::cloud {
namespace {

constexpr std::size_t kPasswordBytesMax = 128;

// The terminal as it was comes back also when reading throws.
class NoEcho {
 public:
  NoEcho() {
    if (::tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    changed_ = ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) == 0;
  }
  ~NoEcho() {
    if (changed_) ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
  }
  NoEcho(const NoEcho&) = delete;
  NoEcho& operator=(const NoEcho&) = delete;
  bool worked() const { return changed_; }

 private:
  termios before_{};
  bool changed_ = false;
};

std::string asked(const char* prompt) {
  std::cerr << prompt << std::flush;
  std::string line;
  std::getline(std::cin, line);
  std::cerr << "\n";
  return line;
}

}  // namespace

Result<std::string> read_password() {
  std::string password;
  if (::isatty(STDIN_FILENO) != 0) {
    const NoEcho silence;
    if (!silence.worked()) return Error{"bad_request", "the terminal does not stop its echo; use standard input"};
    password = asked("password: ");
    if (asked("again: ") != password) return Error{"bad_request", "the two were not the same; nothing is changed"};
  } else {
    std::getline(std::cin, password);
  }
  if (password.empty() || password.size() > kPasswordBytesMax)
    return Error{"bad_request", "a password is 1 to 128 bytes on one line; nothing is changed"};
  return password;
}

}  // namespace hawser::cloud
