#include "cloud/api/init.hpp"

#include <arpa/inet.h>
#include <grp.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "core/base/files.hpp"

namespace hawser::cloud {
namespace {

constexpr int kCaDays = 3650, kServerDays = 825;
constexpr long kBackdatedSeconds = 24 * 3600;  // a device's clock may be a little behind

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freer<X509_free>>;
using Bytes = std::unique_ptr<BIO, Freer<BIO_free_all>>;

void must(bool good, const char* what) {
  if (!good) throw std::runtime_error(std::string("OpenSSL: ") + what);
}

std::string text_of(const Bytes& bytes) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bytes.get(), &data);
  return {data, static_cast<std::size_t>(size)};
}

std::string pem_of(const Key& key) {
  const Bytes out(BIO_new(BIO_s_mem()));
  must(PEM_write_bio_PrivateKey(out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1, "key");
  return text_of(out);
}

std::string pem_of(const Certificate& certificate) {
  const Bytes out(BIO_new(BIO_s_mem()));
  must(PEM_write_bio_X509(out.get(), certificate.get()) == 1, "certificate");
  return text_of(out);
}

void extend(X509* certificate, X509* issuer, int what, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, what, value.c_str());
  must(extension != nullptr, value.c_str());
  X509_add_ext(certificate, extension, -1);
  X509_EXTENSION_free(extension);
}

Certificate blank(const Key& key, const std::string& common_name, int days) {
  Certificate certificate(X509_new());
  unsigned char serial[16];
  must(RAND_bytes(serial, sizeof serial) == 1, "random");
  serial[0] &= 0x7f;
  BIGNUM* number = BN_bin2bn(serial, sizeof serial, nullptr);
  BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate.get()));
  BN_free(number);
  X509_set_version(certificate.get(), 2);
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -kBackdatedSeconds);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), days * 24L * 3600);
  X509_set_pubkey(certificate.get(), key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1, 0);
  return certificate;
}

bool is_address(const std::string& name) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, name.c_str(), bytes) == 1 || inet_pton(AF_INET6, name.c_str(), bytes) == 1;
}

std::string alternative_names(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names)
    text += (text.empty() ? "" : ",") + std::string(is_address(name) ? "IP:" : "DNS:") + name;
  return text;
}

Certificate make_ca(const Key& key) {
  Certificate ca = blank(key, "Hawser cloud CA", kCaDays);
  X509_set_issuer_name(ca.get(), X509_get_subject_name(ca.get()));
  extend(ca.get(), ca.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0");
  extend(ca.get(), ca.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
  extend(ca.get(), ca.get(), NID_subject_key_identifier, "hash");
  must(X509_sign(ca.get(), key.get(), EVP_sha256()) > 0, "signing the CA");
  return ca;
}

Certificate make_server(const Key& key, const std::vector<std::string>& names, const Certificate& ca,
                        const Key& ca_key) {
  Certificate server = blank(key, names.front().substr(0, 64), kServerDays);
  X509_set_issuer_name(server.get(), X509_get_subject_name(ca.get()));
  extend(server.get(), ca.get(), NID_basic_constraints, "critical,CA:FALSE");
  extend(server.get(), ca.get(), NID_key_usage, "critical,digitalSignature");
  extend(server.get(), ca.get(), NID_ext_key_usage, "serverAuth");
  extend(server.get(), ca.get(), NID_subject_key_identifier, "hash");
  extend(server.get(), ca.get(), NID_authority_key_identifier, "keyid:always");
  extend(server.get(), ca.get(), NID_subject_alt_name, alternative_names(names));
  must(X509_sign(server.get(), ca_key.get(), EVP_sha256()) > 0, "signing the server's certificate");
  return server;
}

std::vector<std::string> default_names() {
  std::vector<std::string> names = {"localhost", "127.0.0.1"};
  char host[254] = {};
  if (gethostname(host, sizeof host - 1) == 0) {
    std::string name(host);
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const bool clean =
        !name.empty() && name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-") == std::string::npos;
    if (clean && name != "localhost") names.push_back(name);
  }
  return names;
}

std::string settings_text(const InitOptions& options, const std::vector<std::string>& names) {
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "\"" : ", \"") + name + "\"";
  return "# Made by hawser-cloud init. Every setting with its default: conf/cloud.toml of the project.\n"
         "[server]\n"
         "names = [" +
         list +
         "]   # every name and address that devices know this cloud by\n"
         "listen = \"" +
         options.listen +
         "\"\n"
         "authentication_port = " +
         std::to_string(options.authentication_port) +
         "\n"
         "connection_port = " +
         std::to_string(options.connection_port) +
         "\n"
         "certificate_file = \"server.crt\"\n"
         "key_file = \"server.key\"\n"
         "database = \"" +
         options.database + "\"\n";
}

// Lets a group read one file, or enter a folder.
Status share(const std::filesystem::path& path, const std::string& group, mode_t mode) {
  const ::group* entry = ::getgrnam(group.c_str());  // it is there: check_text()
  if (entry && ::chown(path.c_str(), static_cast<uid_t>(-1), entry->gr_gid) == 0 && ::chmod(path.c_str(), mode) == 0)
    return ok();
  return Error{"io_error", "cannot give " + path.string() + " to the group " + group + ": " + std::strerror(errno)};
}

Status check_text(const InitOptions& options) {
  for (const std::string& text : {options.listen, options.database})
    if (text.find_first_of("\"\\\n\r") != std::string::npos)
      return Error{"bad_request", "\"" + text + "\" has quotes, backslashes or line ends; leave them out"};
  if (!options.group.empty() && !::getgrnam(options.group.c_str()))
    return Error{"bad_request", "there is no group " + options.group + "; name one that hawser-cloud runs in"};
  return ok();
}

}  // namespace

Status init_cloud(const InitOptions& options) {
  const auto& folder = options.folder;
  if (auto good = check_text(options); !good) return good;
  std::error_code unknown;
  const bool new_folder = !std::filesystem::exists(folder, unknown);
  for (const char* name : {"ca.crt", "ca.key", "server.crt", "server.key", "cloud.toml"}) {
    std::error_code ignored;
    if (std::filesystem::exists(folder / name, ignored))
      return Error{"bad_request", (folder / name).string() + " is there already; give an empty folder"};
  }
  const auto names = options.names.empty() ? default_names() : options.names;
  if (auto made = make_folder(folder, 0700); !made) return made;
  try {
    const Key ca_key(EVP_EC_gen("P-256")), key(EVP_EC_gen("P-256"));
    must(ca_key && key, "making keys");
    const Certificate ca = make_ca(ca_key), server = make_server(key, names, ca, ca_key);
    const std::vector<std::tuple<const char*, std::string, mode_t>> files = {
        {"ca.key", pem_of(ca_key), 0600},
        {"ca.crt", pem_of(ca), 0644},
        {"server.key", pem_of(key), 0600},
        {"server.crt", pem_of(server) + pem_of(ca), 0644},
        {"cloud.toml", settings_text(options, names), 0644}};
    for (const auto& [name, content, mode] : files)
      if (auto written = write_file_atomically(folder / name, content, mode); !written) return written;
  } catch (const std::runtime_error& error) {
    return Error{"bad_request", error.what()};
  }
  if (options.group.empty()) return ok();
  if (auto shared = share(folder / "server.key", options.group, 0640); !shared || !new_folder) return shared;
  return share(folder, options.group, 0750);
}

}  // namespace hawser::cloud
