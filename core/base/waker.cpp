#include "core/base/waker.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <stdexcept>
#include <system_error>

namespace hawser {
namespace {

constexpr std::size_t kDescriptorsMax = 512;  // a core with 64 plugins, their actions and control connections fits
constexpr milliseconds kLongestPoll{60'000};  // poll(2) takes an int; longer waits go round again

int milliseconds_until(TimePoint deadline) {
  const auto now = Clock::now();
  if (deadline <= now) return 0;
  // Compared before the conversion: TimePoint::max() minus now overflows no type, but its milliseconds overflow an int.
  if (deadline - now > kLongestPoll) return static_cast<int>(kLongestPoll.count());
  return static_cast<int>(std::chrono::ceil<milliseconds>(deadline - now).count());
}

}  // namespace

Waker::Waker() : event_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (!event_) throw std::system_error(errno, std::generic_category(), "eventfd");
}

void Waker::wake() noexcept {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t done = ::write(event_.get(), &one, sizeof one);  // full means: already woken
}

Waker::Woke Waker::wait(std::span<pollfd> descriptors, TimePoint deadline) {
  if (descriptors.size() > kDescriptorsMax) throw std::logic_error("Waker::wait: more than 512 descriptors");
  std::array<pollfd, kDescriptorsMax + 1> all{};
  std::copy(descriptors.begin(), descriptors.end(), all.begin());
  pollfd& own = all[descriptors.size()];
  own = {event_.get(), POLLIN, 0};
  for (;;) {
    const int timeout = milliseconds_until(deadline);
    const int ready = ::poll(all.data(), static_cast<nfds_t>(descriptors.size() + 1), timeout);
    if (ready < 0 && errno != EINTR) throw std::system_error(errno, std::generic_category(), "poll");
    if (ready > 0) break;
    if (Clock::now() >= deadline) return Woke::TimedOut;
  }
  std::copy_n(all.begin(), descriptors.size(), descriptors.begin());
  if (std::any_of(descriptors.begin(), descriptors.end(), [](const pollfd& p) { return p.revents != 0; }))
    return Woke::Ready;
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = ::read(event_.get(), &count, sizeof count);
  return Woke::Woken;
}

}  // namespace hawser
