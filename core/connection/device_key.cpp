#include "core/connection/device_key.hpp"

#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"

namespace hawser::connection {
namespace {

constexpr std::size_t kKeyFileBytesMax = 16 * 1024;
constexpr int kCoordinateBytes = 32;

template <auto F>
struct FreeWith {
  template <typename T>
  void operator()(T* thing) const {
    F(thing);
  }
};
using Bio = std::unique_ptr<BIO, FreeWith<BIO_free>>;
using Number = std::unique_ptr<BIGNUM, FreeWith<BN_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, FreeWith<EVP_MD_CTX_free>>;
using Signature = std::unique_ptr<ECDSA_SIG, FreeWith<ECDSA_SIG_free>>;

std::string openssl_words() {
  const unsigned long code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return reason == nullptr ? "no reason given" : reason;
}

Result<std::string> hmac_sha256(const std::string& key, const std::string& data) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> mac{};
  unsigned size = 0;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), reinterpret_cast<const unsigned char*>(data.data()),
           data.size(), mac.data(), &size) == nullptr)
    return Error{"bad_key", "the password's proof cannot be made: " + openssl_words()};
  return std::string(reinterpret_cast<const char*>(mac.data()), size);
}

Error key_fault(const std::filesystem::path& file, const std::string& what) {
  return {"bad_key", "device key " + file.string() + " " + what +
                         "; it is never replaced by itself: put the right file back, or remove it and have the device "
                         "unbound in the cloud"};
}

// The bytes of an existing key file that belongs to us alone; not_found when there is none.
Result<std::string> read_private(const std::filesystem::path& file) {
  const Descriptor opened(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!opened) {
    if (errno == ENOENT) return Error{"not_found", file.string()};
    return key_fault(file, std::string("cannot be opened: ") + std::strerror(errno));
  }
  struct stat about {};
  if (::fstat(opened.get(), &about) != 0 || !S_ISREG(about.st_mode)) return key_fault(file, "is not a regular file");
  if ((about.st_mode & 077) != 0) {
    char mode[8];
    std::snprintf(mode, sizeof mode, "%04o", static_cast<unsigned>(about.st_mode & 07777));
    return key_fault(file, std::string("has mode ") + mode + " where 0600 is due: others could have read it");
  }
  if (about.st_uid != ::geteuid()) return key_fault(file, "belongs to another user");
  if (static_cast<std::size_t>(about.st_size) > kKeyFileBytesMax) return key_fault(file, "is too large for a key");
  std::string text(kKeyFileBytesMax, '\0');
  const ssize_t got = ::read(opened.get(), text.data(), text.size());
  if (got < 0) return key_fault(file, std::string("cannot be read: ") + std::strerror(errno));
  text.resize(static_cast<std::size_t>(got));
  return text;
}

Result<std::string> coordinate(const EVP_PKEY* key, const char* name) {
  BIGNUM* raw = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &raw) != 1) return Error{"bad_key", openssl_words()};
  const Number number(raw);
  std::string bytes(kCoordinateBytes, '\0');
  if (BN_bn2binpad(raw, reinterpret_cast<unsigned char*>(bytes.data()), kCoordinateBytes) != kCoordinateBytes)
    return Error{"bad_key", openssl_words()};
  return bytes;
}

// No pass phrase is ever asked for on a terminal.
int no_password(char*, int, int, void*) { return 0; }

}  // namespace

Result<DeviceKey> DeviceKey::load_or_make(const std::filesystem::path& file) {
  auto text = read_private(file);
  if (!text) {
    if (text.error().code == "not_found") return make(file);
    return text.error();
  }
  const Bio memory(BIO_new_mem_buf(text->data(), static_cast<int>(text->size())));
  Key key(PEM_read_bio_PrivateKey(memory.get(), nullptr, no_password, nullptr));
  OPENSSL_cleanse(text->data(), text->size());
  if (!key) return key_fault(file, "holds no private key in PEM: " + openssl_words());
  return adopt(std::move(key), file);
}

Result<DeviceKey> DeviceKey::make(const std::filesystem::path& file) {
  Key key(EVP_EC_gen("P-256"));
  if (!key) return Error{"bad_key", "cannot make a device key: " + openssl_words()};
  const Bio memory(BIO_new(BIO_s_secmem()));
  if (PEM_write_bio_PKCS8PrivateKey(memory.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return Error{"bad_key", "cannot write a device key: " + openssl_words()};
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &bytes);
  if (const Status written = write_file_atomically(file, {bytes, static_cast<std::size_t>(size)}, 0600); !written)
    return written.error().with_context("device key");
  return adopt(std::move(key), file);
}

Result<DeviceKey> DeviceKey::adopt(Key key, const std::filesystem::path& file) {
  std::array<char, 64> group{};
  if (EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_EC ||
      EVP_PKEY_get_utf8_string_param(key.get(), OSSL_PKEY_PARAM_GROUP_NAME, group.data(), group.size(), nullptr) != 1 ||
      std::string_view(group.data()) != "prime256v1")
    return key_fault(file, "holds a key that is not P-256");
  auto x = coordinate(key.get(), OSSL_PKEY_PARAM_EC_PUB_X);
  auto y = coordinate(key.get(), OSSL_PKEY_PARAM_EC_PUB_Y);
  if (!x || !y) return key_fault(file, "holds a key whose public part cannot be read");
  DeviceKey adopted;
  adopted.key_ = std::move(key);
  adopted.x_ = std::move(*x);
  adopted.y_ = std::move(*y);
  return adopted;
}

Result<std::string> DeviceKey::sign(std::string_view message) const {
  const DigestContext context(EVP_MD_CTX_new());
  const auto* data = reinterpret_cast<const unsigned char*>(message.data());
  std::array<unsigned char, 128> der{};
  std::size_t size = der.size();
  if (!context || EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key_.get()) != 1 ||
      EVP_DigestSign(context.get(), der.data(), &size, data, message.size()) != 1)
    return Error{"bad_key", "the device key cannot sign: " + openssl_words()};
  const unsigned char* at = der.data();
  const Signature parsed(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(size)));
  std::string fixed(kSignatureBytes, '\0');
  auto* out = reinterpret_cast<unsigned char*>(fixed.data());
  if (!parsed || BN_bn2binpad(ECDSA_SIG_get0_r(parsed.get()), out, kCoordinateBytes) < 0 ||
      BN_bn2binpad(ECDSA_SIG_get0_s(parsed.get()), out + kCoordinateBytes, kCoordinateBytes) < 0)
    return Error{"bad_key", "the device key cannot sign: " + openssl_words()};
  return fixed;
}

json::Object DeviceKey::public_jwk() const {
  auto jwk = json::make_object();
  jwk->set("crv", "P-256");
  jwk->set("kty", "EC");
  jwk->set("x", base64url(x_));
  jwk->set("y", base64url(y_));
  return jwk;
}

std::string DeviceKey::thumbprint() const { return base64url(sha256(json::to_text(public_jwk()))); }

Result<std::string> make_proof(const DeviceKey& key, const std::string& serial, const std::string& host,
                               const std::string& nonce, const std::string& password) {
  auto payload = json::make_object();
  payload->set("serial", serial);
  payload->set("aud", host);
  payload->set("nonce", nonce);
  payload->set("jwk", key.public_jwk());
  if (!password.empty()) {
    const auto mac = hmac_sha256(password, nonce + "." + serial + "." + key.thumbprint() + "." + host);
    if (!mac) return mac.error();
    payload->set("pwd", base64url(*mac));
  }
  const std::string signed_part = base64url(R"({"alg":"ES256"})") + "." + base64url(json::to_text(payload));
  const auto signature = key.sign(signed_part);
  if (!signature) return signature.error();
  return signed_part + "." + base64url(*signature);
}

}  // namespace hawser::connection
