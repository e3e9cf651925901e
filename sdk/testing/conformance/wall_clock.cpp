// The C library's functions for the time of day, found by a plugin here before they are found in the C library: the
// program that links this file exports them (see CMakeLists.txt).
#include "sdk/testing/conformance/wall_clock.hpp"

#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <atomic>

namespace {
std::atomic<std::int64_t> offset_s{0};
constexpr long kNanosecondsInMicrosecond = 1000;
}  // namespace

extern "C" int clock_gettime(clockid_t clock, timespec* now) noexcept {
  const auto result = static_cast<int>(::syscall(SYS_clock_gettime, clock, now));
  if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += offset_s;
  return result;
}

extern "C" int gettimeofday(timeval* now, void*) noexcept {
  timespec exact;
  const int result = clock_gettime(CLOCK_REALTIME, &exact);
  *now = {exact.tv_sec, exact.tv_nsec / kNanosecondsInMicrosecond};
  return result;
}

extern "C" time_t time(time_t* also) noexcept {
  timespec exact;
  clock_gettime(CLOCK_REALTIME, &exact);
  if (also) *also = exact.tv_sec;
  return exact.tv_sec;
}

namespace hawser::sdk::testing {

void jump_wall_clock(std::chrono::seconds from_the_true_time) { offset_s = from_the_true_time.count(); }

}  // namespace hawser::sdk::testing
