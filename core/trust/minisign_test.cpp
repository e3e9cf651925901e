#include "core/trust/minisign.hpp"

#include "core/base/encoding.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::trust;

namespace {

// Made by minisign 0.11: -G -W, then -S -W -t 'version 1.0.0', and the same with -l for the second signature.
const std::string kText = "a manifest\n";
const std::string kKey =
    "untrusted comment: minisign public key D1ECA8F4525525CB\n"
    "RWTLJVVS9Kjs0XQSCZufdDQmH2sqvOf9eC9eL37zM4yYJ1xXC2PZTmls\n";
const std::string kHashed =
    "untrusted comment: signature from minisign secret key\n"
    "RUTLJVVS9Kjs0U7bYEiubm4/umMcKGHkMt2iU+RWzZMRolTclpptm087MGPYY5nE5/nPsDXra8DF/lqdfEEKlz5mPNvwcWp4OgI=\n"
    "trusted comment: version 1.0.0\n"
    "yvYvhGKKpKZe3uDq/h0U/nmEKsBdcCK6EBjSJuIqYJnbybXheO5zQ+mB4U461V5S0DvgW3995rLUnf4wpKFqBA==\n";
const std::string kLegacy =
    "untrusted comment: signature from minisign secret key\n"
    "RWTLJVVS9Kjs0WRb7UEZaUnrGXijFdg4Ph/fTTUC/Z/dgXGFzYYYJoL3i3qiXxRMclri3Pd8aaCgcpwT6zLEb36IWNbuGEMsMgA=\n"
    "trusted comment: version 1.0.0\n"
    "LwcUL4A46o7wTwsTwRj21cLDBt5rVQssUUiBTukCCrJDeSyiTCa8iraKELIlYWaps7BRA7ZhaTksX65T9nlvBg==\n";

std::string word(const std::string& signature, const std::string& bytes = kText) {
  const auto read = read_signature(signature);
  if (!read) return read.error().message;
  const auto status = check_signature(*read, *read_public_key(kKey), bytes);
  return status ? "good" : status.error().message;
}

std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  REQUIRE(at != text.npos);
  return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("[sdk-9] what minisign signed is good, hashed and as minisign before 0.10 did it") {
  CHECK(read_public_key(kKey)->id == "D1ECA8F4525525CB");
  CHECK(read_signature(kHashed)->hashed);
  CHECK_FALSE(read_signature(kLegacy)->hashed);
  CHECK(read_signature(kHashed)->trusted_comment == "version 1.0.0");
  CHECK(word(kHashed) == "good");
  CHECK(word(kLegacy) == "good");
  CHECK(word(with(kHashed, "signature from minisign secret key", "anything")) == "good");
}

TEST_CASE("[sdk-9] no bit of a signature, of what it signs or of its trusted comment can be another") {
  for (const auto& good : {kHashed, kLegacy}) {
    const Signature signature = *read_signature(good);
    const PublicKey key = *read_public_key(kKey);
    const auto holds = [&](const Signature& changed, std::string_view bytes) {
      return bool(check_signature(changed, key, bytes));
    };
    REQUIRE(holds(signature, kText));
    const auto flipped = [](std::string bytes, std::size_t bit) {
      bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
      return bytes;
    };
    for (std::size_t bit = 0; bit < 64 * 8; ++bit) {
      Signature changed = signature;
      changed.bytes = flipped(signature.bytes, bit);
      CHECK_FALSE(holds(changed, kText));
      changed = signature;
      changed.comment_bytes = flipped(signature.comment_bytes, bit);
      CHECK_FALSE(holds(changed, kText));
    }
    for (std::size_t bit = 0; bit < kText.size() * 8; ++bit) CHECK_FALSE(holds(signature, flipped(kText, bit)));
    CHECK(word(with(good, "version 1.0.0", "version 1.0.1")) ==
          "has a trusted comment that key D1ECA8F4525525CB did not sign");
  }
}

TEST_CASE("[sdk-9] a file that minisign did not make is refused with a clause that says why") {
  const std::pair<std::string, std::string> rows[] = {
      {"", "has fewer than the 4 lines that minisign writes"},
      {kKey, "has fewer than the 4 lines that minisign writes"},
      {kHashed + "\n", "has more than the 4 lines that minisign writes"},
      {with(kHashed, "untrusted comment: ", "comment: "), "has \"comment: "},
      {with(kHashed, "\ntrusted comment: ", "\nTrusted comment: "), "has \"Trusted comment: version 1.0.0\" where"},
      {with(kHashed, "RUTLJVVS", "RUTL"), "holds no minisign signature: 74 bytes in base64 are due"},
      {with(kHashed, "RUTLJVVS", "RU LJVVS"), "holds no minisign signature: 74"},
      {with(kHashed, "RUTL", "QUJD"), "holds a signature of another kind than Ed25519"},
      {with(kHashed, "BA==\n", "\n"), "holds no signature of the trusted comment: 64"},
      {with(kHashed, "version", std::string(9000, 'x')), "line 3 is too long"},
      {with(kHashed, "LJVVS9Kjs0U", "MJVVS9Kjs0U"), "is by key D1ECA8F4525525CC, not by key D1ECA8F4525525CB"},
      {with(kHashed, "RUTL", "RWTL"), "is not for these bytes, or not by key D1ECA8F4525525CB"},
  };
  for (const auto& [text, sentence] : rows) {
    INFO(text);
    CHECK_THAT(word(text), Catch::Matchers::StartsWith(sentence));
  }
  CHECK(word(kHashed, "a manifest").starts_with("is not for these bytes"));
  std::string lines = kHashed;
  for (auto at = lines.find('\n'); at != lines.npos; at = lines.find('\n', at + 2)) lines.insert(at, "\r");
  CHECK(word(lines) == "good");
  CHECK(read_public_key(with(kKey, "RWTL", "RUTL")).error().message == "holds a key of another kind than Ed25519");
}

TEST_CASE("[sdk-9] a key's id is the same with and without its leading zeros") {
  CHECK(canonical_key_id("1a2b") == "0000000000001A2B");
  for (const char* bad : {"", "11112222333344445", "0x12", "G"}) CHECK(canonical_key_id(bad).empty());
}
