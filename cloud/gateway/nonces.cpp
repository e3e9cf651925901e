#include "cloud/gateway/nonces.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <array>

#include "core/base/encoding.hpp"

namespace hawser::cloud {
namespace {

constexpr std::size_t kTimeBytes = 8, kRandomBytes = 8, kMacBytes = 16;

std::string random_text(std::size_t size) {
  std::string bytes(size, '\0');
  random_bytes(std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

}  // namespace

Nonces::Nonces(std::size_t spent_max) : key_(random_text(32)), spent_max_(spent_max) {}

std::string Nonces::mac(const std::string& body) const {
  std::array<unsigned char, 32> out{};
  unsigned int size = 0;
  HMAC(EVP_sha256(), key_.data(), static_cast<int>(key_.size()), reinterpret_cast<const unsigned char*>(body.data()),
       body.size(), out.data(), &size);
  return {reinterpret_cast<char*>(out.data()), kMacBytes};
}

std::string Nonces::make(std::int64_t now) {
  std::string body;
  for (int shift = 56; shift >= 0; shift -= 8) body += static_cast<char>((now >> shift) & 0xff);
  body += random_text(kRandomBytes);
  return base64url(body + mac(body));
}

bool Nonces::spend(const std::string& nonce, std::int64_t now) {
  const auto bytes = from_base64url(nonce);
  if (!bytes || bytes->size() != kTimeBytes + kRandomBytes + kMacBytes) return false;
  const std::string body = bytes->substr(0, kTimeBytes + kRandomBytes), wanted = mac(body);
  if (CRYPTO_memcmp(bytes->data() + body.size(), wanted.data(), kMacBytes) != 0) return false;
  std::int64_t made = 0;
  for (std::size_t i = 0; i < kTimeBytes; ++i) made = (made << 8) | static_cast<unsigned char>(body[i]);
  forget_until(now - kLifeMs);
  if (made > now || made <= now - kLifeMs || made <= floor_) return false;
  if (!spent_.insert(nonce).second) return false;
  order_.emplace_back(now, nonce);
  if (spent_.size() > spent_max_) {
    floor_ = std::max(floor_, order_.front().first);
    forget_until(floor_);
  }
  return true;
}

// A nonce spent at `time` or before was made before: it is stale by age (or by floor_) when it is forgotten.
void Nonces::forget_until(std::int64_t time) {
  while (!order_.empty() && order_.front().first <= time) {
    spent_.erase(order_.front().second);
    order_.pop_front();
  }
}

}  // namespace hawser::cloud
