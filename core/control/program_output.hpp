#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "core/base/result.hpp"
#include "core/base/waker.hpp"

namespace hawser::control {

// Runs a program of the system (looked for in PATH) to its end and gives what it printed, at most the last `bytes_max`
// bytes of it; its standard error too. It is killed at `limit`. Blocks. Errors: not_found, timeout, io_error.
Result<std::string> program_output(const std::vector<std::string>& words, std::size_t bytes_max, milliseconds limit);

}  // namespace hawser::control
