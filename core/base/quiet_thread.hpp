#pragma once

#include <csignal>
#include <thread>
#include <utility>

namespace hawser {

// A thread that takes no signals: they are the main thread's. Throws std::system_error where the system has none to
// spare; the caller's own signals are as before in any case. Any thread.
template <typename Run>
std::thread start_quietly(Run run) {
  class AllBlocked {
   public:
    AllBlocked() {
      sigset_t all;
      ::sigfillset(&all);
      ::pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~AllBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    AllBlocked(const AllBlocked&) = delete;
    AllBlocked& operator=(const AllBlocked&) = delete;

   private:
    sigset_t before_;
  };
  const AllBlocked blocked;
  return std::thread(std::move(run));
}

}  // namespace hawser
