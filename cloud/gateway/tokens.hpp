#pragma once

#include <optional>
#include <string>

#include "cloud/store/store.hpp"

// Bearer tokens: 256 random bits, kept as their SHA-256 only.
namespace hawser::cloud {

std::string make_token();
std::string token_hash(const std::string& token);
// The record of a token that is known, of this kind, and not expired.
std::optional<TokenRecord> find_token(Store& store, const std::string& token, TokenKind kind, Millis now);

}  // namespace hawser::cloud
