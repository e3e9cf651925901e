#pragma once

#include <string>

#include "core/base/result.hpp"

namespace hawser::cloud {

// One line: from a terminal without echo, asked for twice; else from standard input.
Result<std::string> read_password();

}  // namespace hawser::cloud
