#pragma once

#include <filesystem>

#include "core/base/result.hpp"

namespace hawser::tool {

// Writes the files of a packed plugin's folder as a bundle, the one file that operators install: a tar under zstd. The same
// files give the same bytes, whoever owns them and whenever they were written. An empty `into`: <id>-<version>.hawser in
// the present folder. Returns where it is.
Result<std::filesystem::path> write_bundle(const std::filesystem::path& folder, std::filesystem::path into);

}  // namespace hawser::tool
