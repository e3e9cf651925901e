#pragma once

#include <string>
#include <string_view>

#include "core/base/result.hpp"

namespace hawser::control {

// A configuration file without its secrets: what stands under a key that sounds like one (password, secret, token, key,
// credential; in the proxy's table the user too) and user names, passwords and queries within URLs become "(removed)".
// Comments are left out, for one may hold an old password. A file that is no TOML is an Error: then nothing of it can
// be trusted.
Result<std::string> without_secrets(std::string_view toml, const std::string& file);

// User names, passwords and queries within URLs become "(removed)".
std::string without_url_secrets(std::string text);

}  // namespace hawser::control
