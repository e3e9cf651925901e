// The end of an instance, and the one after it.
#include <memory>
#include <thread>

#include "core/base/encoding.hpp"
#include "sdk/testing/conformance/stage.hpp"

namespace hawser::sdk::conformance {
namespace {

using testing::Handover;

constexpr std::chrono::milliseconds kRealWait{500};  // for a thread that is about to end
constexpr std::size_t kHandoverBytesMax = kMessageBytesMax;

bool within_real_wait(const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + kRealWait;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

void stops(const Subject& subject) {
  Stage stage(subject);
  stage.good_run();
  stage.stop();
}

void stops_at_once(const Subject& subject) {
  Stage stage(subject);
  stage.start();
  stage.stop();
}

void stops_while_waiting(const Subject& subject) {
  Stage stage(subject);
  stage.host.actions["*"] = {{.holds = true}};
  stage.host.cloud = FakeHost::Cloud::silent;
  stage.start();
  for (auto* subconnection : stage.host.opened()) subconnection->open();
  stage.run(kGoodRun);
  stage.stop();
}

void stops_offline(const Subject& subject) {
  Stage stage(subject);
  stage.good_run();
  for (auto* subconnection : stage.host.opened()) {
    subconnection->acks_at_once = false;
    subconnection->close("hang_up");
  }
  stage.run(kGoodRun);
  stage.stop();
}

void leaves_no_thread(const Subject& subject) {
  Stage stage(subject);
  const std::size_t before = count_threads();
  stage.good_run();
  stage.stop();
  stage.host.destroy();
  require(within_real_wait([&] { return count_threads() <= before; }),
          std::to_string(count_threads() - before) + " of its threads still run after destroy()");
}

void leaves_no_descriptor(const Subject& subject) {
  Stage stage(subject);
  const std::size_t before = count_descriptors();
  stage.good_run();
  stage.stop();
  stage.host.destroy();
  require(within_real_wait([&] { return count_descriptors() <= before; }),
          std::to_string(count_descriptors() - before) + " of its descriptors are still open after destroy()");
}

void silent_after_destroy(const Subject& subject) {
  Stage stage(subject);
  stage.good_run();
  stage.stop();
  stage.host.destroy();
  if (count_threads() > 1) std::this_thread::sleep_for(kRealWait);
  const std::string misuse = stage.misuse("after destroy()");
  require(misuse.empty(), misuse);
}

void starts_after_a_kill(const Subject& subject) {
  // Never told to stop, never destroyed: as after a kill its folder, spools and state are what is left of it.
  auto& first = *new Stage(subject);
  first.start();
  for (auto* subconnection : first.host.opened()) subconnection->open();
  first.run(kGoodRun);
  Stage second(subject);
  second.host.spools = first.host.spools;
  second.host.state = first.host.state;
  require(second.host.start(subject.config) >= 0,
          "with what a killed instance left it does not start: " + printable(second.host.refusal, kWhyBytesMax));
  second.connect();
  second.run(kGoodRun);
  second.alive("a start with what a killed instance left");
}

void instances_apart(const Subject& subject) {
  auto first = std::make_unique<Stage>(subject, "first");
  Stage second(subject, "second");
  first->start();
  second.start();
  first->connect();
  second.connect();
  second.host.settle_down();
  if (count_threads() > 1) skip("it has threads of its own, which would be taken for the other instance");
  const auto effects = second.host.effects.load();
  first->run(kGoodRun);
  require(second.host.effects == effects, "while one instance ran, the other one's host was called");
  first->stop();
  require(!second.host.healthy(HWS_STOPPED), "stop() of one instance stopped the other");
  first->host.destroy();
  second.run(kGoodRun);
  const std::string misuse = first->misuse("after destroy()");
  require(misuse.empty(), "the other instance's host was used: " + misuse);
  second.alive("the end of another instance");
  second.stop();
}

std::optional<Handover> hand_over(const Subject& subject) {
  Stage old(subject);
  old.good_run();
  old.stop();
  old.host.errors.clear();
  auto saved = old.host.save();
  if (!saved && !old.host.errors.empty()) fail("save() refused: " + printable(old.host.errors.back()));
  if (!saved) skip("it hands nothing over");
  return saved;
}

void hands_over(const Subject& subject) {
  const auto saved = hand_over(subject);
  require(saved->content.size() <= kHandoverBytesMax,
          "save() wrote " + std::to_string(saved->content.size()) + " bytes, at most 1 MiB are handed over");
  Stage next(subject);
  next.host.handover = saved;
  require(next.host.start(subject.config) >= 0,
          "the next instance refuses what this one saved: " + printable(next.host.refusal, kWhyBytesMax));
  next.connect();
  next.run(kGoodRun);
  next.alive("a hand-over");
}

void strange_handover(const Subject& subject) {
  const auto saved = hand_over(subject);
  const std::string content = saved->content;
  const Handover strange[] = {{saved->format + 1, content},
                              {saved->format, ""},
                              {saved->format, content.substr(0, content.size() / 2)},
                              {saved->format, std::string(1000, '\xff')}};
  for (const auto& one : strange) {
    Stage next(subject);
    next.host.handover = one;
    starts_or_says_why(next, subject.config);
  }
}

constexpr Check kChecks[] = {
    {"stops", "starts", "stop() ends with HWS_STOPPED in time", "plugin.h, hws_plugin.stop",
     "Report health(HWS_STOPPED) when nothing is left to do, at the latest shortly before deadline_ms.", stops},
    {"stops-at-once", "stops", "it can be stopped right after the start", "plugin.h, hws_plugin.stop",
     "Do not wait in stop() for what has not begun.", stops_at_once},
    {"stops-while-waiting", "stops",
     "it stops in time with an action and a question under way, and nothing acknowledged", "plugin.h, hws_plugin.stop",
     "Set a timer of less than deadline_ms in stop(), and stop then without the answer.", stops_while_waiting},
    {"stops-offline", "stops", "it stops in time while the cloud is away", "plugin.h, hws_plugin.stop",
     "Accepted messages are safe in the spool: do not wait for their acknowledgement.", stops_offline},
    {"no-thread-left", "stops", "no thread is left after destroy()", "plugin.h, hws_plugin.destroy",
     "Tell your threads to end in stop(), and join them in destroy() at the latest.", leaves_no_thread},
    {"no-descriptor-left", "stops", "no descriptor is left after destroy()", "plugin.h, hws_plugin.destroy",
     "Close what was opened.", leaves_no_descriptor},
    {"silent-after-destroy", "stops", "the host is not called after destroy()", "ABI.md, what a host may rely on",
     "Join your threads before destroy() returns.", silent_after_destroy},
    {"after-a-kill", "starts", "it starts with what a killed instance left",
     "reliability: a host may end at any instruction",
     "Take every file, spool and state as it may stand after a power cut.", starts_after_a_kill},
    {"instances", "stops", "two instances do not touch each other", "plugin.h, hws_plugin.create: self",
     "Keep everything in what `self` points to, nothing in global variables.", instances_apart},
    {"handover", "stops", "what it saves for the next version, it loads", "plugin.h, hws_plugin_handover",
     "Write and read the same format; at most 1 MiB.", hands_over},
    {"handover-strange", "handover", "a hand-over that it does not know is refused in a sentence, or taken",
     "plugin.h, hws_plugin_handover.load", "Look at `format` and at the length before you read.", strange_handover},
};

}  // namespace

std::span<const Check> stop_checks() { return kChecks; }

}  // namespace hawser::sdk::conformance
