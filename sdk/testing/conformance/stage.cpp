#include "sdk/testing/conformance/stage.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <thread>

#include "core/base/encoding.hpp"

namespace hawser::sdk::conformance {
namespace {

constexpr Milliseconds kStep{1000};
constexpr std::chrono::microseconds kForOtherThreads{200};  // real time for each step, where there are any

std::size_t entries_of(const char* folder) {
  const std::filesystem::directory_iterator all(folder);
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

}  // namespace

std::size_t count_threads() { return entries_of("/proc/self/task"); }
std::size_t count_descriptors() { return entries_of("/proc/self/fd"); }

std::string fault_of_sentence(std::string_view text, std::size_t bytes_max) {
  if (text.empty()) return "no words";
  if (text.size() > bytes_max)
    return std::to_string(text.size()) + " bytes, at most " + std::to_string(bytes_max) + " are shown";
  if (!is_utf8(text)) return "bytes that are no UTF-8";
  if (text.find('\n') != text.npos) return "more than one line";
  return {};
}

Stage::Stage(const Subject& subject, const std::string& folder) : subject_(subject) {
  const auto state = subject.scratch / folder;
  std::filesystem::create_directories(state);
  host.facts["plugin.state_dir"] = state.string();
  host.running = flight();
  host.actions["*"] = {{}};
  if (!::dlopen(subject.library.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE)) skip("it does not load");
  if (!host.load_library(subject.library.string())) skip("it does not load");
}

void Stage::start() {
  if (host.start(subject_.config) < 0) skip("it does not start");
}

void Stage::connect() {
  host.settle_down();
  for (auto* subconnection : host.opened()) {
    subconnection->acks_at_once = true;
    subconnection->open();
  }
}

void Stage::run(Milliseconds span) {
  for (const Milliseconds end = host.now() + span; host.now() < end;) {
    const std::size_t before = host.logs.size();
    host.advance(std::min(kStep, end - host.now()));
    most_lines_ = std::max(most_lines_, host.logs.size() - before);
    if (count_threads() > 1) std::this_thread::sleep_for(kForOtherThreads);
  }
}

void Stage::good_run() {
  start();
  connect();
  run(kGoodRun);
}

void Stage::stop() {
  host.stop(kStopMs);
  if (!host.run_until([&] { return host.healthy(HWS_STOPPED); }, Milliseconds(kStopMs)))
    fail("stop() was not followed by health(HWS_STOPPED) within its " + std::to_string(kStopMs) + " ms");
}

void Stage::alive(const std::string& after) {
  for (const auto& report : host.health) {
    if (report.state == HWS_FAULTED)
      fail("after " + after + " it reported HWS_FAULTED" + (report.detail.empty() ? "" : ": " + report.detail) +
           (host.errors.empty() ? "" : " (" + host.errors.back() + ")"));
  }
}

std::size_t Stage::durable_sent() const {
  std::size_t sent = 0;
  for (const auto* subconnection : host.opened()) sent += subconnection->durable_sent.size();
  return sent;
}

std::uint64_t Stage::refused_sends() const {
  std::uint64_t refused = 0;
  for (const auto* subconnection : host.opened()) refused += subconnection->refused_sends;
  return refused;
}

std::string Stage::misuse(std::string_view containing) const {
  for (const auto& misuse : host.misuses) {
    if (misuse.find(containing) != misuse.npos) return misuse;
  }
  return {};
}

bool starts_or_says_why(Stage& stage, const std::string& config) {
  if (stage.host.start(config) >= 0) return true;
  const std::string fault = fault_of_sentence(stage.host.refusal, kWhyBytesMax);
  require(fault.empty(), "it refused, and gave for a reason " + fault);
  return false;
}

}  // namespace hawser::sdk::conformance
