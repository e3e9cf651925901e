#pragma once

#include <optional>
#include <string>

#include "core/base/result.hpp"

// The device's proof of sdk/protocol.md §2: a JWS in ES256, checked with OpenSSL. Any thread.
namespace hawser::cloud {

struct Proof {
  std::string serial, aud, nonce;
  std::optional<std::string> pwd;
  std::string x, y;         // 32 raw bytes each
  std::string thumbprint;   // RFC 7638, base64url
  std::string signed_part;  // header "." payload, as received
  std::string signature;    // r || s, 64 bytes
};

struct ParsedProof {
  Result<Proof> proof;  // proof_invalid with a sentence when malformed
  std::string nonce;    // where it could be read, also of a malformed one: it is spent
};

// Form only: header, members, lengths, base64url. Cheap.
ParsedProof parse_proof(const std::string& compact);
// The point lies on the curve and the signature is by it.
bool verify_signature(const Proof& proof);
// base64url(HMAC-SHA256(password, nonce.serial.thumbprint.aud)), compared in constant time.
bool password_matches(const Proof& proof, const std::string& password);

bool is_serial(const std::string& text);  // 1 to 64 of A-Z a-z 0-9 . _ -

}  // namespace hawser::cloud
