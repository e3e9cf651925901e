#pragma once

#include <chrono>
#include <string>

#include "core/connection/waits.hpp"

// What of the waits outlives a restart: the 15 minutes after 4003 and 4010, and the doubling after 4009. A device that
// is switched off and on must not ask more often for it.
namespace hawser::connection {

// The three clocks of one moment, and the boot to which `boot` belongs.
struct Moment {
  TimePoint now;
  seconds boot{0};  // CLOCK_BOOTTIME
  std::chrono::system_clock::time_point wall;
  std::string boot_id;
  static Moment present(const std::string& boot_id);
};

// The part of `memory` that is kept; two that are equal need no writing.
Waits::Memory lasting(const Waits::Memory& memory);
// JSON.
std::string text_of(const Waits::Memory& memory, const Moment& at);
// Nothing remembered where the text is none of ours. In the same boot a wait ends when it would have ended; after
// another one the wall clock tells, and where that cannot be, the whole wait begins anew.
Waits::Memory memory_of(const std::string& text, const Moment& at);

}  // namespace hawser::connection
