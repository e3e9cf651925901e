#pragma once

#include <chrono>
#include <string_view>

#include "core/base/files.hpp"
#include "core/control/ctl_support.hpp"

// hawserctl's terminal: where it prints, how wide that is, and how a wait ends at Ctrl-C. Main thread.
namespace hawser::control {

struct TerminalSize {
  std::size_t columns = kUnlimitedWidth, rows = 0;  // rows 0: no terminal
};
TerminalSize terminal_size();  // of standard output

// False when the reader is gone or the disk is full; errno says which.
bool write_all(int fd, std::string_view text);

// Prints at once, for what goes on for a while. False when there is no use in going on; then errno says why.
bool print_now(std::string_view text);

// Prints both texts and gives the exit code: a reader that has seen enough ("| head") is no failure, a full disk is.
int finish(const CtlOutcome& outcome);

// Ends a long command in good order at Ctrl-C or SIGTERM. Made once, before the first wait.
class Interrupt {
 public:
  Interrupt();  // takes the two signals from their default; throws std::system_error
  // Waits; true when asked to end, or when nobody reads standard output any more.
  bool wait(std::chrono::milliseconds time) const;
  // As print_now(), but asked to end it gives up on a reader that does not read: false, with errno EPIPE.
  bool print(std::string_view text) const;
  int descriptor() const { return signals_.get(); }  // readable when asked to end

 private:
  Descriptor signals_;
};

}  // namespace hawser::control
