#pragma once

#include <string>

namespace hawser::cloud {

// Who runs this command, for the history: "root (sudo by alice)".
std::string operator_name();

}  // namespace hawser::cloud
