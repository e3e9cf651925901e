#pragma once

#include <openssl/evp.h>

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/json.hpp"

namespace hawser::connection {

// The device's P-256 key. It is made on the device and never leaves this process. [sec-2] Movable; one thread.
class DeviceKey {
 public:
  static constexpr std::size_t kSignatureBytes = 64;  // r and s, 32 bytes each (RFC 7518 §3.4)

  // Loads the PEM file, or makes it (0600) where there is none. A file that cannot be read, is open to others, or holds
  // no P-256 key is an Error that names it: replacing it would lock the device out of the cloud that it is bound to.
  static Result<DeviceKey> load_or_make(const std::filesystem::path& file);

  // ECDSA over SHA-256 of `message`, as r and s in fixed width.
  Result<std::string> sign(std::string_view message) const;
  // The public key; members in the order of RFC 7638.
  json::Object public_jwk() const;
  std::string thumbprint() const;  // RFC 7638, SHA-256, base64url

 private:
  struct Free {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  };
  using Key = std::unique_ptr<EVP_PKEY, Free>;

  static Result<DeviceKey> make(const std::filesystem::path& file);
  static Result<DeviceKey> adopt(Key key, const std::filesystem::path& file);

  Key key_;
  std::string x_, y_;  // 32 bytes each
};

// The JWS of sdk/protocol.md §2. `host` is the server's as the device knows it, canonical (canonical_host()). An empty
// password: no `pwd`.
Result<std::string> make_proof(const DeviceKey& key, const std::string& serial, const std::string& host,
                               const std::string& nonce, const std::string& password);

}  // namespace hawser::connection
