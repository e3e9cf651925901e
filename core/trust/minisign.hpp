#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/base/result.hpp"

// Public keys and signatures in the form of minisign (https://jedisct1.github.io/minisign/), which vendors sign with.
// Only what checking needs: Ed25519 and BLAKE2b-512, both OpenSSL's. Any thread; nothing here blocks or throws.
namespace hawser::trust {

inline constexpr std::size_t kPublicKeyFileBytesMax = 4 * 1024;
inline constexpr std::size_t kSignatureFileBytesMax = 16 * 1024;
inline constexpr std::size_t kCommentBytesMax = 8 * 1024;  // as minisign has it, of either comment

// What a .pub file holds: a comment and one line of base64.
struct PublicKey {
  std::string id;     // as minisign prints it: 16 hexadecimal digits, upper case
  std::string point;  // 32 bytes
};

// What a .minisig file holds.
struct Signature {
  bool hashed = true;  // "ED": over BLAKE2b-512 of the bytes; "Ed", of minisign before 0.10: over the bytes themselves
  std::string key_id;
  std::string bytes;            // 64
  std::string trusted_comment;  // signed with `bytes` by `comment_bytes`
  std::string comment_bytes;    // 64
};

// The errors are clauses to go behind the file's name: "line 2 is no minisign key: ...".
Result<PublicKey> read_public_key(std::string_view text);
Result<Signature> read_signature(std::string_view text);

// Whether `key` made the signature for these bytes, and signed its trusted comment too.
Status check_signature(const Signature& signature, const PublicKey& key, std::string_view bytes);

// A key's id as people write it: minisign leaves zeros in front out. Empty when it is none.
std::string canonical_key_id(std::string_view text);

}  // namespace hawser::trust
