#pragma once

#include <filesystem>

#include "core/base/result.hpp"

namespace hawser::trust {

inline constexpr std::size_t kBundleEntriesMax = 1024;  // files, folders and the headers between them
inline constexpr std::size_t kBundlePathBytesMax = 1024;

// Unpacks a bundle, <id>-<version>.hawser: the files of a plugin's folder in a tar under zstd, made by hawser-plugin, or by
// anybody: hostile data. Only files and folders with a path inside come out, each once, owned by who runs us, modes 0644
// and 0755, at most kFolderBytesMax together, and all of it is on the disk when this returns. `into` is an empty folder
// that nobody else may write to; what stands there after an Error is rubbish. The Error is one sentence that names the
// rule and the remedy. Blocks on the disk only; any thread.
Status unpack_bundle(const std::filesystem::path& file, const std::filesystem::path& into);

}  // namespace hawser::trust
