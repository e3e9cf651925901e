#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "core/base/result.hpp"

namespace hawser::tool {

struct Packed {
  std::string id, version;
  std::vector<std::string> files;      // what the manifest pins now
  bool signature_was_removed = false;  // of the manifest as it was before
};

// Writes the digest of every file of a plugin's folder into its manifest.json, which is then ready to be signed. The
// rest of the manifest stays as it is, in its order. Refuses what no device would load, with one sentence, and changes
// nothing then. Blocks on the disk only.
Result<Packed> pack(const std::filesystem::path& folder);

}  // namespace hawser::tool
