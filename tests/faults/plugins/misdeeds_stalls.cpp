// Holds the service thread, or will not go.
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

#include "rogue.hpp"

namespace rogue {

void nothing(Rogue&) {}

void spin(Rogue&) {
  std::atomic<std::uint64_t> turns = 0;
  for (;;) turns.fetch_add(1, std::memory_order_relaxed);
}

void sleep_forever(Rogue&) {
  for (;;) ::pause();
}

void deadlock(Rogue&) {
  static std::mutex first, second;
  static std::atomic<bool> other_has_second = false;
  const std::lock_guard mine(first);
  std::thread([] {
    const std::lock_guard its(second);
    other_has_second = true;
    const std::lock_guard never(first);
  }).detach();
  while (!other_has_second) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const std::lock_guard never(second);
}

// Every signal blocked or ignored, on every thread from here on; then it holds the thread.
void deaf(Rogue& self) {
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, nullptr);
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_IGN);
  sleep_forever(self);
}

// SIGSTOP: the whole host stands still, its control thread too.
void stop_itself(Rogue&) { ::raise(SIGSTOP); }

}  // namespace rogue
