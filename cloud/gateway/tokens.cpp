#include "cloud/gateway/tokens.hpp"

#include <openssl/crypto.h>

#include "core/base/encoding.hpp"

namespace hawser::cloud {

std::string make_token() {
  std::string bytes(32, '\0');
  random_bytes(std::as_writable_bytes(std::span(bytes)));
  return base64url(bytes);
}

std::string token_hash(const std::string& token) { return hex(sha256(token)); }

std::optional<TokenRecord> find_token(Store& store, const std::string& token, TokenKind kind, Millis now) {
  if (token.empty() || token.size() > 128) return std::nullopt;
  const std::string hash = token_hash(token);
  auto found = store.token(hash);
  // The look-up is by hash, so its time tells nothing of the token; the comparison stands for stores that match
  // loosely.
  if (!found || found->hash.size() != hash.size() || CRYPTO_memcmp(found->hash.data(), hash.data(), hash.size()) != 0)
    return std::nullopt;
  if (found->kind != kind || found->expires_at <= now) return std::nullopt;
  return found;
}

}  // namespace hawser::cloud
