#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "core/base/result.hpp"

namespace hawser::tool {

struct SignOptions {
  std::filesystem::path folder;  // <id>/<version>
  std::filesystem::path key;     // the secret one, as `minisign -G` wrote it
  std::optional<std::string> comment;
  bool key_has_no_password = false;
};

// Packs the plugin and has minisign sign the manifest; minisign asks for the password itself, on the terminal. The secret
// key is never read here. Returns the signature's file.
Result<std::filesystem::path> sign(const SignOptions& options);

}  // namespace hawser::tool
