#include "core/host/waiting.hpp"

#include <algorithm>

namespace hawser::host {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

milliseconds Waiting::up_to(milliseconds most) {
  return milliseconds(random_(static_cast<std::uint64_t>(most.count()) + 1));
}

milliseconds Waiting::backoff() {
  constexpr unsigned kDoublingsMax = 9;  // 512 s is over the limit already
  const milliseconds most = std::min<milliseconds>(kBackoffMax, 1s * (1 << std::min(failures_, kDoublingsMax)));
  ++failures_;
  return 1s + up_to(most - 1s);
}

Next Waiting::after(const Ending& ending, std::chrono::seconds spread) {
  if (ending.was_ready && ending.ready_for >= kReadyForReset) failures_ = 0;
  if (ending.was_ready && ending.ready_for >= kReplacedMost) replaced_ = 0s;
  if (ending.status == 401 || ending.status == 403 || ending.status == 404) return {Event::GrantFailed, backoff()};
  if (ending.status == 429 || ending.status == 503) {
    const milliseconds least = ending.retry_after.value_or(0s);
    return {Event::Lost, std::max(backoff(), least + up_to(least / 5)), !ending.retry_after};
  }
  if (ending.close_code == 4003 || ending.close_code == 4010) return {Event::Withdrawn, 0ms};
  // A first withdrawn token is asked for anew at once; a cloud that withdraws each new one must not be hammered.
  if (ending.close_code == 4001) {
    const bool first = failures_ == 0;
    const milliseconds wait = backoff();
    return {Event::GrantFailed, first ? 0ms : wait};
  }
  if (ending.close_code == 4009) {
    replaced_ = replaced_ == 0s ? kReplacedLeast : std::min(replaced_ * 2, kReplacedMost);
    return {Event::Lost, replaced_, false};
  }
  if (ending.close_code == 1013) return {Event::Lost, kTryAgainLeast + backoff(), false};
  if (ending.local) {
    failures_ = std::max(failures_, 1U);  // what fails after it backs off
    return {Event::Lost, up_to(std::min<milliseconds>(spread, kLocalSpread))};
  }
  if (!ending.was_ready) {
    if (ending.reason == "cloud_state_lost" && failures_ == 0) {
      ++failures_;  // the new stream is tried at once, a second one waits
      return {Event::Lost, 0ms};
    }
    return {Event::Lost, backoff()};
  }
  // The first dial after a loss comes within the spread, so that a fleet does not arrive at once; later ones back off.
  // An end without a Close is no local loss: so ends a cloud that crashed, for all of its devices in one moment.
  const milliseconds within = up_to(spread);
  if (failures_ == 0) {
    ++failures_;
    return {Event::Lost, within};
  }
  return {Event::Lost, within + backoff()};
}

}  // namespace hawser::host
