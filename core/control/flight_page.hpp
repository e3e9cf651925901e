#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/base/files.hpp"
#include "core/base/waker.hpp"

// The flight page: 4 KiB of memory that hawserd makes (memfd, sealed against shrinking and growing) and the host has at
// descriptor 4. The host notes there which callback runs and since when, so that hawserd sees a stall without asking,
// and can still name the callback after it has killed the host (iso-4). Any thread of the plugin can write to it: hawserd
// reads it as hostile data, each word once, and never waits for it.
namespace hawser::control {

inline constexpr int kFlightDescriptor = 4;
inline constexpr int kLibraryDescriptor = 5;  // the plugin's verified .so, open for reading
inline constexpr std::size_t kFlightPageBytes = 4096;
inline constexpr std::size_t kFlightNameBytes = 48;

struct FlightPage {
  std::atomic<std::uint64_t> number;  // of the callback that runs, from 1; 0: none runs
  // CLOCK_MONOTONIC, as Clock: the time that the device sleeps is nobody's stall. Both ends live in one time namespace.
  std::atomic<std::uint64_t> since_ns;
  std::array<std::atomic<char>, kFlightNameBytes> name;  // "start", "timer", "durable"; NUL-padded
};
static_assert(sizeof(FlightPage) <= kFlightPageBytes);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free && std::atomic<char>::is_always_lock_free);

// A mapped page, unmapped at its end.
struct UnmapFlightPage {
  void operator()(FlightPage* page) const;
};
using MappedFlightPage = std::unique_ptr<FlightPage, UnmapFlightPage>;

// hawserd's end. Lives as long as its plugin's process is of interest; loop's thread.
class FlightReader {
 public:
  struct Running {
    std::uint64_t number = 0;
    std::string name;   // printable, never empty
    TimePoint since{};  // never in the future
  };
  static Result<FlightReader> make();
  int descriptor() const { return memory_.get(); }  // for the child's descriptor 4
  std::optional<Running> running() const;           // nothing while no callback is open

 private:
  FlightReader(Descriptor memory, MappedFlightPage page) : memory_(std::move(memory)), page_(std::move(page)) {}
  Descriptor memory_;
  MappedFlightPage page_;  // read-only
};

// The host's end. One thread writes: the one on which callbacks run. No system call, a few nanoseconds.
class FlightWriter {
 public:
  // Maps the page and closes `fd`, so that the plugin has one way less to it. Where `fd` is no flight page (a test that
  // starts a host by itself) the notes go to memory that nobody reads.
  static FlightWriter take(int fd);
  // `name` must live for good. Number 0: nothing runs.
  void note(std::uint64_t number, const char* name, TimePoint since);

 private:
  explicit FlightWriter(MappedFlightPage page) : page_(std::move(page)) {}
  MappedFlightPage page_;
  const char* noted_name_ = nullptr;
};

}  // namespace hawser::control
