#include "core/transport/test_certificates.hpp"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <fstream>
#include <stdexcept>

namespace hawser::transport::test {
namespace {

void must(bool fine, const char* what) {
  if (!fine) throw std::runtime_error(std::string("making a test certificate: ") + what);
}

void add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  must(extension != nullptr, "extension");
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

Certificate make(const CertificateRequest& request, const Certificate* authority) {
  static std::atomic<long> serial{1000};
  Certificate made{{X509_new(), X509_free}, {EVP_EC_gen("P-256"), EVP_PKEY_free}};
  X509* const raw = made.certificate.get();
  must(raw && made.key, "key");
  X509_set_version(raw, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(raw), serial++);
  X509_gmtime_adj(X509_getm_notBefore(raw), request.begins.count());
  X509_gmtime_adj(X509_getm_notAfter(raw), request.ends.count());
  X509_set_pubkey(raw, made.key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(raw), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(request.common_name.c_str()), -1, -1, 0);
  X509* const issuer = authority ? authority->certificate.get() : raw;
  X509_set_issuer_name(raw, X509_get_subject_name(issuer));
  add_extension(raw, issuer, NID_basic_constraints, authority ? "critical,CA:FALSE" : "critical,CA:TRUE");
  add_extension(raw, issuer, NID_subject_key_identifier, "hash");
  if (!request.alt_names.empty()) add_extension(raw, issuer, NID_subject_alt_name, request.alt_names);
  must(X509_sign(raw, authority ? authority->key.get() : made.key.get(), EVP_sha256()) > 0, "signature");
  return made;
}

template <typename Write>
std::string pem(Write write) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> memory(BIO_new(BIO_s_mem()), BIO_free);
  must(write(memory.get()) == 1, "PEM");
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

}  // namespace

std::string Certificate::certificate_pem() const {
  return pem([&](BIO* to) { return PEM_write_bio_X509(to, certificate.get()); });
}
std::string Certificate::key_pem() const {
  return pem([&](BIO* to) { return PEM_write_bio_PrivateKey(to, key.get(), nullptr, nullptr, 0, nullptr, nullptr); });
}

Certificate make_authority(const std::string& common_name) { return make({common_name, "", -48h, 24h * 365}, nullptr); }

Certificate issue(const Certificate& authority, const CertificateRequest& request) { return make(request, &authority); }

}  // namespace hawser::transport::test
