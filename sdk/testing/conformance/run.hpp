#pragma once

#include <vector>

#include "sdk/testing/conformance/check.hpp"

namespace hawser::sdk::conformance {

inline constexpr std::chrono::seconds kCheckLimit{20};  // real time; most take less than a tenth of a second
inline constexpr std::size_t kOutputBytesMax = 2048;    // of what the plugin printed, shown with a failure

struct Outcome {
  enum class Kind { passed, failed, skipped };
  Kind kind = Kind::passed;
  std::string sentence;  // why, when it did not pass
  std::string output;    // what the plugin wrote to standard output and error, when it failed
  double seconds = 0;
};

struct Ran {
  const Check* check;
  Outcome outcome;
};

std::vector<Check> all_checks();

// Runs one check in a child process and waits for it, at most `limit`. The caller has one thread.
Outcome run(const Check& check, Subject subject, std::chrono::seconds limit = kCheckLimit);

}  // namespace hawser::sdk::conformance
