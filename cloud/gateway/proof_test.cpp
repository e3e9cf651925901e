#include "cloud/gateway/proof.hpp"

#include "cloud/gateway/nonces.hpp"
#include "cloud/gateway/strict_json.hpp"
#include "core/base/encoding.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::cloud;

namespace {

// RFC 7515 appendix A.3: the public key of its ES256 example.
const std::string kX = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                  kY = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

std::string compact(const std::string& header, const std::string& payload, std::size_t signature_bytes = 64) {
  return base64url(header) + "." + base64url(payload) + "." + base64url(std::string(signature_bytes, '\1'));
}

std::string payload(const std::string& jwk_more = "", const std::string& nonce = "AAAAAAAAAAAAAAAAAAAAAA") {
  return R"({"serial":"S1","aud":"localhost","nonce":")" + nonce + R"(","jwk":{"kty":"EC","crv":"P-256","x":")" + kX +
         R"(","y":")" + kY + "\"" + jwk_more + "}}";
}

}  // namespace

TEST_CASE("[conn-2] the example of RFC 7515 A.3 verifies, and not with one bit changed") {
  Proof proof;
  proof.x = *from_base64url(kX);
  proof.y = *from_base64url(kY);
  proof.signed_part =
      "eyJhbGciOiJFUzI1NiJ9."
      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl"
      "fQ";
  proof.signature =
      *from_base64url("DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q");
  CHECK(verify_signature(proof));
  proof.signature[10] = static_cast<char>(proof.signature[10] ^ 1);
  CHECK_FALSE(verify_signature(proof));
  proof.signature.assign(64, '\0');
  CHECK_FALSE(verify_signature(proof));
  proof.y[0] = static_cast<char>(proof.y[0] ^ 1);  // no point of the curve
  CHECK_FALSE(verify_signature(proof));
}

TEST_CASE("[conn-2] a proof of the right form is read, and its nonce also where the rest is wrong") {
  const auto good = parse_proof(compact(R"({"alg":"ES256","typ":"JWT"})", payload()));
  REQUIRE(good.proof);
  CHECK(good.proof->serial == "S1");
  CHECK(good.proof->thumbprint.size() == 43);
  const auto bad = parse_proof(compact(R"({"alg":"none"})", payload()));
  CHECK_FALSE(bad.proof);
  CHECK(bad.proof.error().code == "proof_invalid");
  CHECK(bad.nonce == "AAAAAAAAAAAAAAAAAAAAAA");
}

TEST_CASE("[conn-2] any other form of proof is refused") {
  const std::string header = R"({"alg":"ES256"})";
  CHECK_FALSE(parse_proof("").proof);
  CHECK_FALSE(parse_proof("a.b").proof);
  CHECK_FALSE(parse_proof(compact(header, payload()) + ".x").proof);
  CHECK_FALSE(parse_proof(compact(header, payload()) + "=").proof);
  CHECK_FALSE(parse_proof(compact(header, payload(), 63)).proof);
  CHECK_FALSE(parse_proof(compact(header, payload(R"(,"d":"AA")"))).proof);
  CHECK_FALSE(parse_proof(compact(header, payload("", "short"))).proof);
  CHECK_FALSE(parse_proof(compact(header, payload("", "AAAAAAAAAAAAAAAAAAAA+/"))).proof);
  for (const char* member : {"jwk", "jku", "kid", "x5u", "crit"})
    CHECK_FALSE(parse_proof(compact(R"({"alg":"ES256",")" + std::string(member) + R"(":"x"})", payload())).proof);
  CHECK_FALSE(parse_proof(std::string(9000, 'A')).proof);
}

TEST_CASE("[conn-2] a nonce serves once, for five minutes, and only of this process") {
  Nonces nonces, others;
  const std::string nonce = nonces.make(1000);
  CHECK(nonce.size() >= 16);
  CHECK_FALSE(others.spend(nonce, 1000));
  CHECK(nonces.spend(nonce, 2000));
  CHECK_FALSE(nonces.spend(nonce, 2000));
  const std::string late = nonces.make(1000);
  CHECK_FALSE(nonces.spend(late, 1000 + Nonces::kLifeMs));
  CHECK_FALSE(nonces.spend("AAAA", 1000));
  CHECK_FALSE(nonces.spend("", 1000));
}

TEST_CASE("[sec-6] the set of spent nonces is bounded, and a full one refuses rather than forgets") {
  Nonces nonces(3);
  std::vector<std::string> made;
  for (int i = 0; i < 5; ++i) made.push_back(nonces.make(100 + i));
  for (int i = 0; i < 4; ++i) CHECK(nonces.spend(made[static_cast<std::size_t>(i)], 200 + i));
  CHECK(nonces.spent_count() <= 3);
  for (int i = 0; i < 5; ++i) CHECK_FALSE(nonces.spend(made[static_cast<std::size_t>(i)], 300));
  CHECK(nonces.spend(nonces.make(400), 401));
}

TEST_CASE("JSON is one object with the limits of the protocol") {
  const auto nested = [](int depth) {
    std::string text;
    for (int i = 0; i < depth; ++i) text += "{\"a\":";
    return text + "1" + std::string(static_cast<std::size_t>(depth), '}');
  };
  CHECK(parse_strict(R"({"a":[1,{"b":null},-9007199254740991],"c":"\u00e4"})"));
  CHECK(parse_strict(nested(32)));
  CHECK_FALSE(parse_strict(nested(33)));
  for (const char* text :
       {"", "[]", "1", "null", "{", "{}x", "{} {}", R"({"a":1,"a":1})", R"({"b":{"a":1,"a":1}})",
        R"({"a":9007199254740992})", R"({"a":-9007199254740992})", R"({"a":1e400})", "{\"a\":\"\xff\"}",
        R"({"a":18446744073709551616})", R"({"a":"\ud800"})", R"({a:1})", R"({"a":01})", R"({"a":NaN})"})
    CHECK_FALSE(parse_strict(text));
}
