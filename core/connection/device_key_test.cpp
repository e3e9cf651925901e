#include "core/connection/device_key.hpp"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <sys/stat.h>

#include <fstream>

#include "core/base/encoding.hpp"
#include "tests/catch.hpp"
#include "tests/test_folder.hpp"

using namespace hawser;
using namespace hawser::connection;

namespace {

// Verifies by another path than DeviceKey's: the public key from the JWK alone, the signature put into DER anew.
bool verifies(const json::Object& jwk, std::string_view message, const std::string& fixed) {
  const std::string point =
      "\x04" + *from_base64url(json::text_or(jwk, "x")) + *from_base64url(json::text_or(jwk, "y"));
  char group[] = "P-256";
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group, 0),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, const_cast<char*>(point.data()), point.size()),
      OSSL_PARAM_construct_end()};
  EVP_PKEY_CTX* maker = EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr);
  EVP_PKEY* key = nullptr;
  const bool made =
      EVP_PKEY_fromdata_init(maker) == 1 && EVP_PKEY_fromdata(maker, &key, EVP_PKEY_PUBLIC_KEY, parameters) == 1;
  const auto* bytes = reinterpret_cast<const unsigned char*>(fixed.data());
  ECDSA_SIG* signature = ECDSA_SIG_new();
  ECDSA_SIG_set0(signature, BN_bin2bn(bytes, 32, nullptr), BN_bin2bn(bytes + 32, 32, nullptr));
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(signature, &der);
  EVP_MD_CTX* digest = EVP_MD_CTX_new();
  const bool good = made && EVP_DigestVerifyInit(digest, nullptr, EVP_sha256(), nullptr, key) == 1 &&
                    EVP_DigestVerify(digest, der, static_cast<std::size_t>(size),
                                     reinterpret_cast<const unsigned char*>(message.data()), message.size()) == 1;
  EVP_MD_CTX_free(digest);
  OPENSSL_free(der);
  ECDSA_SIG_free(signature);
  EVP_PKEY_free(key);
  EVP_PKEY_CTX_free(maker);
  return good;
}

unsigned mode_of(const std::filesystem::path& file) {
  struct stat about {};
  ::stat(file.c_str(), &about);
  return about.st_mode & 07777;
}

void write(const std::filesystem::path& file, const std::string& text, mode_t mode = 0600) {
  std::ofstream(file) << text;
  ::chmod(file.c_str(), mode);
}

std::string read(const std::filesystem::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace

TEST_CASE("[sec-2] the device key is made once, 0600, and stays the same over restarts") {
  const TestFolder folder;
  const auto file = folder.path() / "device.key";
  const auto made = DeviceKey::load_or_make(file);
  REQUIRE(made);
  CHECK(mode_of(file) == 0600);
  CHECK(read(file).starts_with("-----BEGIN PRIVATE KEY-----"));
  const auto loaded = DeviceKey::load_or_make(file);
  REQUIRE(loaded);
  CHECK(loaded->thumbprint() == made->thumbprint());
}

TEST_CASE("[sec-2] a broken or open key file is an error that names it, and is never replaced") {
  const TestFolder folder;
  const auto file = folder.path() / "device.key";
  REQUIRE(DeviceKey::load_or_make(file));
  const std::string good = read(file);
  std::string content;
  SECTION("open to the group") {
    content = good;
    write(file, content, 0640);
  }
  SECTION("empty") { write(file, content); }
  SECTION("cut in the middle") {
    content = good.substr(0, good.size() / 2);
    write(file, content);
  }
  SECTION("no key at all") {
    content = "hello";
    write(file, content);
  }
  SECTION("a P-384 key") {
    content = R"(-----BEGIN PRIVATE KEY-----
MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDB1kvX2Bhp+
-----END PRIVATE KEY-----
)";
    write(file, content);
  }
  const auto result = DeviceKey::load_or_make(file);
  REQUIRE_FALSE(result);
  CHECK(result.error().message.find(file.string()) != std::string::npos);
  CHECK(read(file) == content);
}

TEST_CASE("a key of another curve and a link in the place of the key are refused") {
  const TestFolder folder;
  const auto file = folder.path() / "device.key";
  SECTION("P-384") {
    const std::string make = "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out " + file.string();
    REQUIRE(std::system((make + " 2>/dev/null").c_str()) == 0);
    ::chmod(file.c_str(), 0600);
    CHECK(DeviceKey::load_or_make(file).error().message.find("not P-256") != std::string::npos);
  }
  SECTION("a link") {
    std::filesystem::create_symlink(folder.path() / "elsewhere", file);
    CHECK_FALSE(DeviceKey::load_or_make(file));
    CHECK_FALSE(std::filesystem::exists(folder.path() / "elsewhere"));
  }
}

TEST_CASE("a thousand signatures are all 64 bytes and verify, also where r or s begins with zero bytes") {
  const TestFolder folder;
  const auto key = DeviceKey::load_or_make(folder.path() / "device.key");
  REQUIRE(key);
  int leading_zeros = 0;
  for (int i = 0; i < 1000 || (leading_zeros == 0 && i < 100'000); ++i) {
    const std::string message = "message " + std::to_string(i);
    const auto signature = key->sign(message);
    REQUIRE(signature);
    REQUIRE(signature->size() == DeviceKey::kSignatureBytes);
    const bool zero = (*signature)[0] == 0 || (*signature)[32] == 0;
    leading_zeros += zero;
    if (zero || i % 50 == 0) REQUIRE(verifies(key->public_jwk(), message, *signature));
  }
  CHECK(leading_zeros > 0);
}

TEST_CASE("the public key has the members of RFC 7638 in their order, and no private one") {
  const TestFolder folder;
  const auto key = DeviceKey::load_or_make(folder.path() / "device.key");
  const std::string text = json::to_text(key->public_jwk());
  CHECK(text.starts_with(R"({"crv":"P-256","kty":"EC","x":")"));
  CHECK(text.find(R"("d":)") == std::string::npos);
  CHECK(from_base64url(json::text_or(key->public_jwk(), "x"))->size() == 32);
  CHECK(key->thumbprint() == base64url(sha256(text)));
}

TEST_CASE("a proof holds serial, aud, nonce and key, and is signed over its first two parts") {
  const TestFolder folder;
  const auto key = DeviceKey::load_or_make(folder.path() / "device.key");
  const auto proof = make_proof(*key, "S-1", "cloud.example.com", "nonce-nonce-nonce", "");
  REQUIRE(proof);
  const auto first = proof->find('.'), second = proof->rfind('.');
  CHECK(*from_base64url(proof->substr(0, first)) == R"({"alg":"ES256"})");
  const auto payload = json::parse_object(*from_base64url(proof->substr(first + 1, second - first - 1)));
  REQUIRE(payload);
  CHECK(json::text_or(*payload, "serial") == "S-1");
  CHECK(json::text_or(*payload, "aud") == "cloud.example.com");
  CHECK(json::text_or(*payload, "nonce") == "nonce-nonce-nonce");
  CHECK(json::to_text(*json::object_member(*payload, "jwk")) == json::to_text(key->public_jwk()));
  CHECK(verifies(key->public_jwk(), proof->substr(0, second), *from_base64url(proof->substr(second + 1))));
}
