#pragma once

#include <atomic>
#include <chrono>

#include "sdk/testing/conformance/check.hpp"
#include "sdk/testing/fake_host.hpp"

namespace hawser::sdk::conformance {

using testing::FakeHost;
using testing::FakeSubconnection;
using testing::Milliseconds;

inline constexpr Milliseconds kCallbackMs{250};   // plugin.h R6
inline constexpr Milliseconds kGoodRun{120'000};  // of virtual time, as all here but where it says real
inline constexpr Milliseconds kReadyWithin{30'000};
inline constexpr std::uint32_t kStopMs = 5000;
inline constexpr std::size_t kWhyBytesMax = 1024;             // plugin.h, configure()
inline constexpr std::size_t kMessageBytesMax = 1024 * 1024;  // what the grant of these runs allows

// Where the name of the running callback is noted for the parent.
std::atomic<const char*>* flight();

// One instance of the plugin under the fake host. What it cannot do for the check, it ends with fail() or skip().
class Stage {
 public:
  // Loads the library; its state folder is a new one in the subject's scratch folder.
  explicit Stage(const Subject& subject, const std::string& folder = "state");

  ~Stage() { host.destroy(); }
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  // Kept, with the library, until the process ends: a thread that should be gone may still be in either.
  FakeHost& host = *new FakeHost;

  void start();    // skips the check when the plugin refuses: "starts" says so
  void connect();  // opens every subconnection that it has; the cloud acknowledges at once
  void run(Milliseconds span);
  void good_run();                       // all three, for kGoodRun
  void stop();                           // fails when HWS_STOPPED does not come in time
  void alive(const std::string& after);  // fails when the plugin gave up

  std::size_t durable_sent() const;
  std::uint64_t refused_sends() const;
  std::size_t most_lines_in_a_second() const { return most_lines_; }
  std::string misuse(std::string_view containing) const;  // the first, or nothing

 private:
  const Subject& subject_;
  std::size_t most_lines_ = 0;
};

std::size_t count_threads();
std::size_t count_descriptors();
// Whether one sentence for a person: some UTF-8, one line, not too long. Nothing, or what is wrong with it.
std::string fault_of_sentence(std::string_view text, std::size_t bytes_max);
// start() is allowed to refuse, with words. Whether it started.
bool starts_or_says_why(Stage& stage, const std::string& config);

}  // namespace hawser::sdk::conformance
