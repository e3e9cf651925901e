#include "cloud/store/vault.hpp"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <span>

#include "cloud/store/sqlite.hpp"
#include "core/base/encoding.hpp"
#include "core/base/files.hpp"

namespace hawser::cloud {
namespace {

constexpr std::size_t kKeyBytes = 32, kNonceBytes = 12, kTagBytes = 16;
constexpr std::string_view kForm = "gcm1:";  // so that another cipher can follow one day

struct Freer {
  void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, Freer>;

unsigned char* bytes_of(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }
const unsigned char* bytes_of(const std::string& text) { return reinterpret_cast<const unsigned char*>(text.data()); }
int size_of(const std::string& text) { return static_cast<int>(text.size()); }

}  // namespace

// By a link, so that of two processes that make it at once both use the same one.
void Vault::make_key_file() const {
  std::string fresh(kKeyBytes, '\0');
  random_bytes(std::as_writable_bytes(std::span(fresh)));
  const std::string staged = key_file_ + "." + random_uuid();
  if (auto written = write_file_atomically(staged, fresh, 0600); !written) throw StoreError(written.error().message);
  const int linked = ::link(staged.c_str(), key_file_.c_str());
  const int reason = errno;
  ::unlink(staged.c_str());
  if (linked != 0 && reason != EEXIST)
    throw StoreError(key_file_ + ": the key of the passwords cannot be made: " + std::strerror(reason));
}

const std::string& Vault::key() {
  if (!key_.empty()) return key_;
  auto found = read_file(key_file_, kKeyBytes + 1);
  if (!found)
    throw StoreError("the key of the device passwords: " + found.error().message +
                     "; put back the file, or set the passwords anew with hawser-cloud device password");
  if (found->size() != kKeyBytes) throw StoreError(key_file_ + ": is no key of 32 bytes; put back the right file");
  struct stat facts {};
  if (::stat(key_file_.c_str(), &facts) == 0 && (facts.st_mode & 077) != 0)
    throw StoreError(key_file_ + ": can be read by others; chmod 600 it");
  return key_ = *found;
}

std::string Vault::seal(const std::string& text, const std::string& serial) {
  if (key_.empty() && ::access(key_file_.c_str(), F_OK) != 0) make_key_file();
  std::string nonce(kNonceBytes, '\0'), out(text.size(), '\0'), tag(kTagBytes, '\0');
  random_bytes(std::as_writable_bytes(std::span(nonce)));
  const Context context(EVP_CIPHER_CTX_new());
  int size = 0;
  const bool sealed =
      context &&
      EVP_EncryptInit_ex2(context.get(), EVP_aes_256_gcm(), bytes_of(key()), bytes_of(nonce), nullptr) == 1 &&
      EVP_EncryptUpdate(context.get(), nullptr, &size, bytes_of(serial), size_of(serial)) == 1 &&
      EVP_EncryptUpdate(context.get(), bytes_of(out), &size, bytes_of(text), size_of(text)) == 1 &&
      EVP_EncryptFinal_ex(context.get(), nullptr, &size) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_GET_TAG, kTagBytes, bytes_of(tag)) == 1;
  if (!sealed) throw StoreError("OpenSSL does not encrypt");
  return std::string(kForm) + base64url(nonce + tag + out);
}

std::string Vault::open(const std::string& sealed, const std::string& serial) {
  const auto bytes = from_base64url(sealed.starts_with(kForm) ? sealed.substr(kForm.size()) : "");
  const std::string complaint = "the password of " + serial + " was not sealed with " + key_file_ +
                                "; put back that file, or set the password anew with hawser-cloud device password";
  if (!bytes || bytes->size() < kNonceBytes + kTagBytes) throw StoreError(complaint);
  const std::string nonce = bytes->substr(0, kNonceBytes), body = bytes->substr(kNonceBytes + kTagBytes);
  std::string tag = bytes->substr(kNonceBytes, kTagBytes), out(body.size(), '\0'), last(kTagBytes, '\0');
  const Context context(EVP_CIPHER_CTX_new());
  int size = 0;
  const bool opened =
      context &&
      EVP_DecryptInit_ex2(context.get(), EVP_aes_256_gcm(), bytes_of(key()), bytes_of(nonce), nullptr) == 1 &&
      EVP_DecryptUpdate(context.get(), nullptr, &size, bytes_of(serial), size_of(serial)) == 1 &&
      EVP_DecryptUpdate(context.get(), bytes_of(out), &size, bytes_of(body), size_of(body)) == 1 &&
      EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, kTagBytes, bytes_of(tag)) == 1 &&
      EVP_DecryptFinal_ex(context.get(), bytes_of(last), &size) == 1;
  if (!opened) throw StoreError(complaint);
  return out;
}

}  // namespace hawser::cloud
