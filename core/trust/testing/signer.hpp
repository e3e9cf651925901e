#pragma once

#include <openssl/evp.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "core/base/encoding.hpp"

// For tests: a vendor who signs as minisign does, with a key that is made in a moment and never on disk.
namespace hawser::trust::testing {

class Signer {
 public:
  // `number`: eight bytes, the key's own.
  explicit Signer(std::string number = "\1\2\3\4\5\6\7\10") : number_(std::move(number)) {
    EVP_PKEY* made = nullptr;
    const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> maker(
        EVP_PKEY_CTX_new_id(EVP_PKEY_ED25519, nullptr), &EVP_PKEY_CTX_free);
    if (EVP_PKEY_keygen_init(maker.get()) != 1 || EVP_PKEY_keygen(maker.get(), &made) != 1)
      throw std::runtime_error("no Ed25519 key");
    key_.reset(made);
  }

  std::string public_key() const {
    std::string point(32, '\0');
    std::size_t size = point.size();
    EVP_PKEY_get_raw_public_key(key_.get(), reinterpret_cast<unsigned char*>(point.data()), &size);
    return "untrusted comment: minisign public key\n" + base64("Ed" + number_ + point) + "\n";
  }

  std::string signature(std::string_view bytes, const std::string& comment = "timestamp:1") const {
    std::string hash(64, '\0');
    EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(hash.data()), nullptr, EVP_blake2b512(),
               nullptr);
    const std::string made = sign(hash);
    return "untrusted comment: signature\n" + base64("ED" + number_ + made) + "\ntrusted comment: " + comment + "\n" +
           base64(sign(made + comment)) + "\n";
  }

 private:
  std::string sign(const std::string& bytes) const {
    std::string made(64, '\0');
    std::size_t size = made.size();
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> pen(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
    EVP_DigestSignInit(pen.get(), nullptr, nullptr, nullptr, key_.get());
    EVP_DigestSign(pen.get(), reinterpret_cast<unsigned char*>(made.data()), &size,
                   reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    return made;
  }

  struct Free {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  };
  std::string number_;
  std::unique_ptr<EVP_PKEY, Free> key_;
};

}  // namespace hawser::trust::testing
