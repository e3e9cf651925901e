#pragma once

#include <functional>

#include "core/base/files.hpp"
#include "core/base/loop.hpp"

namespace hawser::daemon {

// Blocks the signals that Signals reads, for this thread and all that it starts; ignores SIGPIPE. Before any thread.
void block_signals();

// SIGTERM, SIGINT and SIGHUP as events of the loop. Owned by main(), lives on the loop's thread.
class Signals {
 public:
  using OnSignal = std::function<void(int number)>;
  Signals(Loop& loop, OnSignal on_signal);  // throws std::system_error
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  ~Signals();

 private:
  Loop& loop_;
  Descriptor file_;
};

}  // namespace hawser::daemon
