#pragma once

#include <filesystem>
#include <string>

#include "core/base/result.hpp"

// A password at rest, readable on this device alone (conn-15): AES-256-GCM under a key that HKDF-SHA256 (RFC 5869)
// derives from STATE_DIR/password.key, 32 random bytes made at the first use, and /etc/machine-id. Any thread; blocks
// on the disk.
namespace hawser::config {

inline constexpr std::size_t kPasswordBytesMax = 128;

// Empty when a password may be it: 1 to kPasswordBytesMax bytes of UTF-8 without control characters.
std::string check_password(const std::string& password);

// "v1:" and base64url of nonce, ciphertext and tag.
Result<std::string> seal_password(const std::string& password, const std::filesystem::path& state_dir);
// Error bad_config when it is no such text, was sealed on another device, or the key cannot be read.
Result<std::string> open_password(const std::string& cipher, const std::filesystem::path& state_dir);

}  // namespace hawser::config
