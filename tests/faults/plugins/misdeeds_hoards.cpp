// Takes more than its share: memory, processes, descriptors, threads, processor, disk.
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "rogue.hpp"

namespace rogue {
namespace {

constexpr std::size_t kLeakStep = 10 * 1024 * 1024;
constexpr std::uint64_t kLeakEveryMs = 100;  // 100 MB a second
std::size_t leaked = 0;

// Memory that is really there, or nothing.
bool take(std::size_t bytes) {
  if (leaked + bytes > kMemoryMost) return false;
  char* const block = static_cast<char*>(std::malloc(bytes));
  if (!block) throw std::bad_alloc();  // what a vendor's C++ does
  std::memset(block, 1, bytes);
  leaked += bytes;
  return true;
}

void* idle(void*) {
  for (;;) ::pause();
}

void* busy(void*) {
  std::atomic<std::uint64_t> turns = 0;
  for (;;) turns.fetch_add(1, std::memory_order_relaxed);
}

// The number of threads of `body` that were to be had.
int start_threads(int wanted, void* (*body)(void*), int& error) {
  pthread_attr_t small;
  ::pthread_attr_init(&small);
  ::pthread_attr_setstacksize(&small, 64 * 1024);
  int count = 0;
  for (; count < wanted; ++count) {
    pthread_t thread;
    if ((error = ::pthread_create(&thread, &small, body, nullptr)) != 0) break;
  }
  ::pthread_attr_destroy(&small);
  return count;
}

}  // namespace

void leak(Rogue& self) {
  self.host->timer(self.ctx, kLeakEveryMs, kLeakEveryMs, [](void*) { take(kLeakStep); }, nullptr, nullptr);
}

void gulp(Rogue&) {
  while (take(kLeakStep)) {
  }
}

// Every child forks on, and the first refusal is told.
void forks(Rogue& self) {
  auto* const count = static_cast<std::atomic<int>*>(
      ::mmap(nullptr, sizeof(std::atomic<int>), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  const pid_t parent = ::getpid();
  while (count->fetch_add(1) < kProcessesMost) {
    if (::fork() < 0) {
      if (::getpid() == parent) self.tried("fork", errno);
      break;
    }
  }
  if (::getpid() == parent) return self.say("forks: " + std::to_string(count->load() - 1) + " were made");
  for (;;) ::pause();
}

void descriptors(Rogue& self) {
  int count = 0;
  while (count < kDescriptorsMost && ::open("/dev/null", O_RDONLY) >= 0) ++count;
  self.tried("one more descriptor after " + std::to_string(count), errno);
}

void threads(Rogue& self) {
  int error = 0;
  const int count = start_threads(kThreadsMost, idle, error);
  self.tried("one more thread after " + std::to_string(count), error);
}

// Eight threads that compute without end, while every callback returns at once.
void busy_threads(Rogue&) {
  int error = 0;
  start_threads(8, busy, error);
}

void fill_state(Rogue& self) {
  static char block[256 * 1024];
  std::memset(block, 'x', sizeof block);
  const int file = ::open((self.state_dir() + "/filler").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  if (file < 0) return self.tried("a file in the state folder", errno);
  std::size_t written = 0;
  int error = 0;
  while (written < kDiskMost) {
    const ssize_t put = ::write(file, block, sizeof block);
    if (put < 0) {
      error = errno;
      break;
    }
    written += static_cast<std::size_t>(put);
  }
  ::close(file);
  self.tried("more in one file after " + std::to_string(written >> 20) + " MiB", error);
}

// The same in many files, each below any limit of one file.
void many_files(Rogue& self) {
  static char block[1024 * 1024];
  std::size_t written = 0;
  int error = 0;
  for (int number = 0; written < kDiskMost && error == 0; ++number) {
    const int file = ::open((self.state_dir() + "/part" + std::to_string(number)).c_str(), O_WRONLY | O_CREAT, 0600);
    const ssize_t put = file < 0 ? -1 : ::write(file, block, sizeof block);
    if (put < 0) error = errno;
    if (put > 0) written += static_cast<std::size_t>(put);
    if (file >= 0) ::close(file);
  }
  self.tried("another file after " + std::to_string(written >> 20) + " MiB", error);
}

}  // namespace rogue
