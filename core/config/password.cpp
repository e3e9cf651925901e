#include "core/config/password.hpp"

#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"

namespace hawser::config {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kKeyBytes = 32, kNonceBytes = 12, kTagBytes = 16;
constexpr std::string_view kVersion = "v1:";
constexpr const char* kKeyFile = "password.key";
constexpr const char* kMachineId = "/etc/machine-id";

using CipherContext = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)>;

unsigned char* bytes(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }
const unsigned char* bytes(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

Error no_crypto() { return {"internal", "OpenSSL cannot seal a password: is AES-256-GCM shut off on this system?"}; }

Result<std::string> device_secret(const fs::path& state_dir, bool make) {
  const fs::path file = state_dir / kKeyFile;
  std::error_code ignored;
  if (make && (!fs::exists(file, ignored) || fs::file_size(file, ignored) != kKeyBytes)) {
    if (const auto folder = make_folder(state_dir); !folder) return folder.error();
    std::string fresh(kKeyBytes, '\0');
    random_bytes(std::as_writable_bytes(std::span(fresh)));
    if (const auto written = write_file_atomically(file, fresh, 0600); !written) return written.error();
    return fresh;
  }
  auto secret = read_file(file, kKeyBytes);
  if (!secret) return secret;
  struct stat about {};
  if (::stat(file.c_str(), &about) != 0 || (about.st_mode & 077) != 0)
    return Error{"bad_config", file.string() + " can be read by others: chmod 600 it, and set the password anew"};
  if (secret->size() != kKeyBytes) return Error{"bad_config", file.string() + " is damaged: set the password anew"};
  return secret;
}

Result<std::string> derive_key(const fs::path& state_dir, bool make) {
  auto secret = device_secret(state_dir, make);
  if (!secret) return secret;
  const auto machine = read_file(kMachineId, 256);
  const std::string salt = machine ? *machine : "";
  constexpr std::string_view kPurpose = "hawser cloud password v1";
  const KeyContext context(EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, nullptr), &EVP_PKEY_CTX_free);
  std::string key(kKeyBytes, '\0');
  std::size_t size = key.size();
  const bool derived =
      context && EVP_PKEY_derive_init(context.get()) == 1 &&
      EVP_PKEY_CTX_set_hkdf_md(context.get(), EVP_sha256()) == 1 &&
      (salt.empty() ||
       EVP_PKEY_CTX_set1_hkdf_salt(context.get(), bytes(std::string_view(salt)), static_cast<int>(salt.size())) == 1) &&
      EVP_PKEY_CTX_set1_hkdf_key(context.get(), bytes(std::string_view(*secret)), static_cast<int>(secret->size())) ==
          1 &&
      EVP_PKEY_CTX_add1_hkdf_info(context.get(), bytes(kPurpose), static_cast<int>(kPurpose.size())) == 1 &&
      EVP_PKEY_derive(context.get(), bytes(key), &size) == 1;
  return derived ? Result<std::string>(std::move(key)) : no_crypto();
}

}  // namespace

std::string check_password(const std::string& password) {
  const bool good =
      !password.empty() && password.size() <= kPasswordBytesMax && is_utf8(password) &&
      std::none_of(password.begin(), password.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
  return good ? "" : "1 to " + std::to_string(kPasswordBytesMax) + " bytes of UTF-8 without control characters";
}

Result<std::string> seal_password(const std::string& password, const fs::path& state_dir) {
  if (const auto wanted = check_password(password); !wanted.empty())
    return Error{"bad_request", "the password must be " + wanted};
  auto key = derive_key(state_dir, true);
  if (!key) return key;
  std::string sealed(kNonceBytes + password.size() + kTagBytes, '\0');
  random_bytes(std::as_writable_bytes(std::span(sealed).first(kNonceBytes)));
  const CipherContext context(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  int size = 0, rest = 0;
  const bool done = context &&
                    EVP_EncryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, bytes(*key), bytes(sealed)) == 1 &&
                    EVP_EncryptUpdate(context.get(), bytes(sealed) + kNonceBytes, &size,
                                      bytes(std::string_view(password)), static_cast<int>(password.size())) == 1 &&
                    EVP_EncryptFinal_ex(context.get(), bytes(sealed) + kNonceBytes + size, &rest) == 1 &&
                    EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes,
                                        bytes(sealed) + kNonceBytes + password.size()) == 1;
  return done ? Result<std::string>(std::string(kVersion) + base64url(sealed)) : no_crypto();
}

Result<std::string> open_password(const std::string& cipher, const fs::path& state_dir) {
  const Error foreign{"bad_config",
                      "was made on another device, or is damaged; set it anew with hawserctl server password"};
  if (!cipher.starts_with(kVersion)) return foreign;
  auto sealed = from_base64url(std::string_view(cipher).substr(kVersion.size()));
  if (!sealed || sealed->size() <= kNonceBytes + kTagBytes) return foreign;
  std::error_code ignored;
  if (!fs::exists(state_dir / kKeyFile, ignored) && !ignored) return foreign;
  const auto key = derive_key(state_dir, false);
  if (!key) return Error{"bad_config", "cannot be opened: " + key.error().message};
  const std::size_t length = sealed->size() - kNonceBytes - kTagBytes;
  std::string password(length, '\0');
  const CipherContext context(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  int size = 0, rest = 0;
  const bool opened =
      context &&
      EVP_DecryptInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, bytes(std::string_view(*key)),
                         bytes(std::string_view(*sealed))) == 1 &&
      EVP_DecryptUpdate(context.get(), bytes(password), &size, bytes(std::string_view(*sealed)) + kNonceBytes,
                        static_cast<int>(length)) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, bytes(*sealed) + kNonceBytes + length) == 1 &&
      EVP_DecryptFinal_ex(context.get(), bytes(password) + size, &rest) == 1;
  return opened ? Result<std::string>(std::move(password)) : foreign;
}

}  // namespace hawser::config
