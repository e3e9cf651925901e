#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace hawser::config_push {

// The operator's list of paths that the cloud may write: "/etc/app/**" (any depth), "/etc/app/*.conf", "/etc/motd".
using Allowed = std::vector<std::string>;

// Reads {"allowed":["/etc/app/**"]}. The list, or one sentence for the operator.
std::variant<Allowed, std::string> allowed_from_config(std::string_view json);

// Absolute, no "//", no "." or "..", no final slash, no control characters, of sane length.
bool is_plain_path(std::string_view path);

// `**` matches anything, `*` anything but a slash, `?` one character that is no slash.
bool matches(std::string_view pattern, std::string_view path);

bool is_allowed(const Allowed& allowed, std::string_view path);

}  // namespace hawser::config_push
