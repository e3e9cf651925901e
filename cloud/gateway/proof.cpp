#include "cloud/gateway/proof.hpp"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/param_build.h>

#include <algorithm>
#include <memory>

#include "cloud/gateway/strict_json.hpp"
#include "core/base/encoding.hpp"

namespace hawser::cloud {
namespace {

constexpr std::size_t kProofBytesMax = 8192;
constexpr std::size_t kNonceLeast = 16, kNonceMost = 128;

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* pointer) const {
    Free(pointer);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Freer<EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Freer<EVP_MD_CTX_free>>;
using Signature = std::unique_ptr<ECDSA_SIG, Freer<ECDSA_SIG_free>>;

const unsigned char* bytes_of(const std::string& text) { return reinterpret_cast<const unsigned char*>(text.data()); }

bool is_base64url(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

std::string decoded(const std::string& text, const char* what) {
  auto bytes = from_base64url(text);
  if (!bytes) throw SchemaFault(std::string(what) + " is not base64url");
  return *bytes;
}

Json object_in(const std::string& text, const char* what) {
  auto parsed = parse_strict(decoded(text, what));
  if (!parsed) throw SchemaFault(std::string(what) + ": " + parsed.error().message);
  return *parsed;
}

void check_header(const Json& header) {
  for (const auto& [name, value] : header.items()) {
    if (name == "alg" ? value != "ES256" : name != "typ")
      throw SchemaFault("the protected header is not {\"alg\":\"ES256\"}");
  }
  if (!header.contains("alg")) throw SchemaFault("the protected header has no alg");
}

void read_key(const Json& payload, Proof& proof) {
  const auto jwk = payload.find("jwk");
  if (jwk == payload.end() || !jwk->is_object()) throw SchemaFault("jwk is missing");
  if (jwk->contains("d")) throw SchemaFault("jwk has a private part");
  if (text_of(*jwk, "kty") != "EC" || text_of(*jwk, "crv") != "P-256") throw SchemaFault("jwk is no P-256 key");
  const std::string x = text_of(*jwk, "x"), y = text_of(*jwk, "y");
  proof.x = decoded(x, "jwk.x");
  proof.y = decoded(y, "jwk.y");
  if (proof.x.size() != 32 || proof.y.size() != 32) throw SchemaFault("jwk coordinates are not 32 bytes");
  proof.thumbprint = base64url(sha256("{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"" + x + "\",\"y\":\"" + y + "\"}"));
}

Proof read_proof(const std::string& compact, std::string& nonce_seen) {
  if (compact.size() > kProofBytesMax) throw SchemaFault("longer than 8192 bytes");
  const std::size_t first = compact.find('.');
  const std::size_t second = first == std::string::npos ? first : compact.find('.', first + 1);
  if (second == std::string::npos || compact.find('.', second + 1) != std::string::npos)
    throw SchemaFault("not three parts");
  const Json payload = object_in(compact.substr(first + 1, second - first - 1), "payload");
  if (const auto nonce = payload.find("nonce"); nonce != payload.end() && nonce->is_string())
    nonce_seen = nonce->get<std::string>();
  check_header(object_in(compact.substr(0, first), "header"));
  Proof proof;
  proof.signed_part = compact.substr(0, second);
  proof.signature = decoded(compact.substr(second + 1), "signature");
  if (proof.signature.size() != 64) throw SchemaFault("the signature is not 64 bytes");
  proof.serial = text_of(payload, "serial", 1, 64);
  if (!is_serial(proof.serial)) throw SchemaFault("the serial has other characters than A-Z a-z 0-9 . _ -");
  proof.aud = text_of(payload, "aud", 1, 253);
  proof.nonce = text_of(payload, "nonce", kNonceLeast, kNonceMost);
  if (!is_base64url(proof.nonce)) throw SchemaFault("the nonce is not base64url");
  if (payload.contains("pwd")) proof.pwd = text_of(payload, "pwd");
  read_key(payload, proof);
  return proof;
}

Key public_key(const Proof& proof) {
  const std::string point = "\x04" + proof.x + proof.y;
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, const_cast<char*>("P-256"), 0),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, const_cast<char*>(point.data()), point.size()),
      OSSL_PARAM_construct_end()};
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
  EVP_PKEY* key = nullptr;
  if (!context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
    return nullptr;
  return Key(key);
}

std::string der_of(const std::string& raw) {
  const Signature signature(ECDSA_SIG_new());
  BIGNUM* r = BN_bin2bn(bytes_of(raw), 32, nullptr);
  BIGNUM* s = BN_bin2bn(bytes_of(raw) + 32, 32, nullptr);
  ECDSA_SIG_set0(signature.get(), r, s);
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(signature.get(), &der);
  std::string text(reinterpret_cast<char*>(der), size > 0 ? static_cast<std::size_t>(size) : 0);
  OPENSSL_free(der);
  return text;
}

}  // namespace

bool is_serial(const std::string& text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  });
}

ParsedProof parse_proof(const std::string& compact) {
  std::string nonce;
  try {
    Proof proof = read_proof(compact, nonce);
    return {std::move(proof), nonce};
  } catch (const SchemaFault& fault) {
    return {Error{"proof_invalid", std::string("proof: ") + fault.what()}, nonce};
  }
}

bool verify_signature(const Proof& proof) {
  const Key key = public_key(proof);
  const DigestContext context(EVP_MD_CTX_new());
  if (!key || !context) return false;
  const std::string der = der_of(proof.signature);
  return EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) == 1 &&
         EVP_DigestVerify(context.get(), bytes_of(der), der.size(), bytes_of(proof.signed_part),
                          proof.signed_part.size()) == 1;
}

bool password_matches(const Proof& proof, const std::string& password) {
  const std::string data = proof.nonce + "." + proof.serial + "." + proof.thumbprint + "." + proof.aud;
  unsigned char mac[32];
  unsigned int size = 0;
  HMAC(EVP_sha256(), password.data(), static_cast<int>(password.size()), bytes_of(data), data.size(), mac, &size);
  const std::string wanted = base64url({reinterpret_cast<char*>(mac), size});
  return proof.pwd && proof.pwd->size() == wanted.size() &&
         CRYPTO_memcmp(proof.pwd->data(), wanted.data(), wanted.size()) == 0;
}

}  // namespace hawser::cloud
