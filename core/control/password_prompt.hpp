#pragma once

#include <string>

#include "core/base/result.hpp"

namespace hawser::control {

// A new password: typed twice on the terminal, which does not show it, or one line of standard input where that is no
// terminal. Blocks until it was typed. Main thread.
Result<std::string> read_new_password();

}  // namespace hawser::control
