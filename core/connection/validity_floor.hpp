#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>

#include "core/base/file_writer.hpp"

namespace hawser::connection {

// The earliest time that it can be: the later of this program's build and the last Date of a verified answer
// (sdk/protocol.md §1, promise conn-23). Kept over restarts. learn() is for the connection thread, the rest for any.
class ValidityFloor {
 public:
  using Time = std::chrono::system_clock::time_point;
  // A clock that steps by a little is no clock that lies: NTP corrects seconds, and a Date is rounded.
  static constexpr std::chrono::minutes kSlack{5};
  static constexpr std::chrono::hours kStep{1};  // smaller steps are not written: flash wears out

  explicit ValidityFloor(std::filesystem::path file, WriteFile write = write_at_once);

  Time value() const { return Time(Time::duration(value_.load())); }
  // True when it moved by a step: tell the others. A date beyond the end of the certificate that vouches for it
  // contradicts itself and is not taken: one wrong answer must not make every certificate look expired for good.
  bool learn(Time date, Time certificate_ends);
  // Whether the wall clock may be believed: it is not behind what is known.
  bool clock_is_trusted() const;

  static Time built_at();
  static constexpr const char* kFile = "validity_floor";  // in the state folder

 private:
  std::filesystem::path file_;
  WriteFile write_;
  std::atomic<Time::rep> value_;
  Time kept_;
};

}  // namespace hawser::connection
