#pragma once

#include "core/connection/waits.hpp"

// For tests of Waits: chance in a test's hands, always the least or always the most that is asked for, and the usual
// setbacks.
namespace hawser::connection {

inline milliseconds least_of(milliseconds least, milliseconds) { return least; }
inline milliseconds most_of(milliseconds, milliseconds most) { return most; }

inline const TimePoint kNow{std::chrono::hours(1000)};
inline const Setback kFailure{{"connect_refused", ""}, std::nullopt, false};
inline const Setback kRefused{{"unknown_serial", ""}, std::nullopt, true};
inline Setback asked(int s) { return {{"unavailable", ""}, seconds(s), false}; }

}  // namespace hawser::connection
