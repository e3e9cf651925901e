#pragma once

#include "core/base/json.hpp"

namespace hawser::daemon {

inline constexpr std::size_t kLogTailBytes = 256 * 1024;  // some 2,000 lines; a bundle carries them

// What a bundle needs of this agent's log (the command `log` of the control socket):
//   goes_to  "file"|"journal"|"terminal"|"pipe"|"nowhere", what standard error is
//   path     of the file; null where it is none, or where the file has no name any more
//   lines    the last ones since the agent's start, kLogTailBytes at most
json::Object log_report();

}  // namespace hawser::daemon
