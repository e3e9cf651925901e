#pragma once

#include <string>

namespace hawser::control {

// A reason of sdk/protocol.md §7 in plain words, as close to the guide's as it gives any. A reason that is not in the
// list (a vendor's own, a later version's) is shown as it is.
std::string reason_in_words(const std::string& reason);

}  // namespace hawser::control
