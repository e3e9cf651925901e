#include "core/config/trust.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <memory>
#include <new>

#include "core/base/files.hpp"

namespace hawser::config {
namespace {

constexpr std::size_t kCaFileBytesMax = 4 * 1024 * 1024;
constexpr const char* kRight = "; name a PEM file with the certificate of the cloud's CA";

// Empties OpenSSL's queue and tells its last error. Without memory no file can be called damaged.
unsigned long last_error() {
  unsigned long last = 0;
  while (const unsigned long error = ERR_get_error()) {
    if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE) throw std::bad_alloc();
    last = error;
  }
  return last;
}

// Certificates up to the first one that cannot be read; `broken` tells whether such a one ended it.
int count_certificates(const std::string& text, bool& broken) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> memory(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())),
                                                         &BIO_free);
  if (!memory) throw std::bad_alloc();
  int count = 0;
  ERR_clear_error();
  // The callback keeps OpenSSL from asking for a pass phrase on the terminal.
  const auto no_pass_phrase = [](char*, int, int, void*) { return -1; };
  while (X509* certificate = PEM_read_bio_X509(memory.get(), nullptr, no_pass_phrase, nullptr)) {
    X509_free(certificate);
    ++count;
  }
  broken = ERR_GET_REASON(last_error()) != PEM_R_NO_START_LINE;
  return count;
}

}  // namespace

std::string check_ca_file(const std::filesystem::path& file) {
  const auto text = read_file(file, kCaFileBytesMax);
  if (!text) return text.error().message + kRight;
  const std::string name = file.string();
  if (text->empty()) return name + " is empty" + kRight;
  bool broken = false;
  const int count = count_certificates(*text, broken);
  if (count > 0 && !broken) return "";
  if (broken) return "certificate " + std::to_string(count + 1) + " of " + name + " is damaged" + kRight;
  const auto key = text->find("PRIVATE KEY-----");
  if (key != text->npos) return name + " holds a private key and no certificate" + kRight;
  return name + " holds no PEM certificate" + kRight;
}

}  // namespace hawser::config
