#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/base/result.hpp"

namespace hawser::tool {

inline constexpr std::size_t kSourceBytesMax = 4 * 1024 * 1024;
inline constexpr std::size_t kSourcesMax = 2000;

// What can be told of a plugin's project before it is built: its manifest and schema, whether CMakeLists.txt says the same,
// and calls in its sources that a plugin must not make. One sentence each: "file:line: what; what to do instead". A line
// of a source that has `hawser-lint: allow` in it is left alone.
Result<std::vector<std::string>> lint(const std::filesystem::path& folder);

}  // namespace hawser::tool
