#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>

namespace hawser::connection {

// The earliest time that it can be: the later of this program's build and the last Date of a verified answer
// (sdk/protocol.md §1, promise conn-23). Kept over restarts. learn() is for the connection thread, the rest for any.
class ValidityFloor {
 public:
  using Time = std::chrono::system_clock::time_point;
  static constexpr std::chrono::hours kStep{1};  // smaller steps are not written: flash wears out

  explicit ValidityFloor(std::filesystem::path file);

  Time value() const { return Time(Time::duration(value_.load())); }
  // True when it moved by a step: tell the others.
  bool learn(Time date);
  // Whether the wall clock may be believed: it is not behind what is known.
  bool clock_is_trusted() const;

  static Time built_at();

 private:
  std::filesystem::path file_;
  std::atomic<Time::rep> value_;
  Time kept_;
};

}  // namespace hawser::connection
