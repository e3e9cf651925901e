#pragma once

#include <string>
#include <string_view>

namespace hawser::config_push {

// A unified diff with three lines of context, as diff -u writes it; empty when both are equal. `old_name` and
// `new_name` stand in its head. Files with a NUL byte or over kDiffFileBytesMax are only said to differ.
std::string unified_diff(std::string_view old_name, std::string_view old_text, std::string_view new_name,
                         std::string_view new_text);

}  // namespace hawser::config_push
