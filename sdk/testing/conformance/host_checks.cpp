// A host that lacks something, a clock that jumps, a disk that is full.
#include "sdk/testing/conformance/stage.hpp"
#include "sdk/testing/conformance/wall_clock.hpp"

namespace hawser::sdk::conformance {
namespace {

using testing::jump_wall_clock;

constexpr std::chrono::hours kADay{24};
constexpr int kJumps = 5;

template <bool FakeHost::*extension>
void without(const Subject& subject) {
  Stage stage(subject);
  stage.host.*extension = false;
  if (!starts_or_says_why(stage, subject.config)) return;
  stage.connect();
  stage.run(kGoodRun);
  stage.alive("a start on a host without that extension");
}

void jumps(const Subject& subject, std::chrono::seconds to) {
  Stage stage(subject);
  stage.good_run();
  const auto before = std::max(stage.host.longest_callback(), kCallbackMs);
  for (int i = 0; i < kJumps; ++i) {
    jump_wall_clock(i % 2 == 0 ? to : std::chrono::seconds(0));
    stage.run(kGoodRun);
  }
  stage.alive("the clock jumped");
  const auto longest = stage.host.longest_callback();
  require(longest <= before, stage.host.longest_callback_name() + " took " + std::to_string(longest.count()) +
                                 " ms after the clock jumped");
}

void clock_forward(const Subject& subject) { jumps(subject, kADay); }
void clock_back(const Subject& subject) { jumps(subject, -kADay); }

void state_full(const Subject& subject) {
  Stage stage(subject);
  stage.host.state_full = true;
  if (!starts_or_says_why(stage, subject.config)) return;
  stage.connect();
  stage.run(kGoodRun);
  stage.alive("put() was answered HWS_E_NOMEM");
}

void state_not_written(const Subject& subject) {
  Stage stage(subject);
  stage.host.disk_full = true;
  if (!starts_or_says_why(stage, subject.config)) return;
  stage.connect();
  stage.run(kGoodRun);
  stage.alive("put() ended with HWS_E_FAIL");
}

constexpr std::string_view kAbsent = "ABI.md: every extension may be absent";
constexpr std::string_view kAsk =
    "Look whether extension() gave NULL; go without, or refuse the start with error() and a sentence.";

constexpr Check kChecks[] = {
    {"no-subconnections", "starts", "without hws.subconn/1 it starts, or says why not", kAbsent, kAsk,
     without<&FakeHost::has_subconnections>},
    {"no-actions", "starts", "without hws.action/1 it starts, or says why not", kAbsent, kAsk,
     without<&FakeHost::has_actions>},
    {"no-cloud-reached", "starts", "without hws.cloud/1 it starts, or says why not", kAbsent, kAsk,
     without<&FakeHost::has_cloud>},
    {"no-state", "starts", "without hws.state/1 it starts, or says why not", kAbsent, kAsk,
     without<&FakeHost::has_state>},
    {"no-figures", "starts", "without hws.metrics/1 it starts, or says why not", kAbsent, kAsk,
     without<&FakeHost::has_metrics>},
    {"clock-forward", "starts", "a clock that jumps a day ahead does no harm", "devices boot with a wrong time of day",
     "Measure spans with the monotonic clock or with timers.", clock_forward},
    {"clock-back", "starts", "a clock that jumps a day back does no harm", "devices boot with a wrong time of day",
     "Measure spans with the monotonic clock or with timers.", clock_back},
    {"state-full", "starts", "it bears that its private state is full", "plugin.h, hws_host_state.put: E_NOMEM",
     "Keep fewer or smaller values, and go on without the one that did not fit.", state_full},
    {"state-not-written", "starts", "it bears that its private state cannot be written",
     "plugin.h, hws_host_state.put: done", "Take HWS_E_FAIL in `done` for what it is: the old values hold again.",
     state_not_written},
};

}  // namespace

std::span<const Check> host_checks() { return kChecks; }

}  // namespace hawser::sdk::conformance
