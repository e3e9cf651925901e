#include "core/trust/minisign.hpp"

#include <Poco/String.h>
#include <openssl/evp.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "core/base/encoding.hpp"

namespace hawser::trust {
namespace {

constexpr std::size_t kMarkBytes = 2;  // "Ed" or "ED"
constexpr std::size_t kIdBytes = 8;
constexpr std::size_t kPointBytes = 32;
constexpr std::size_t kSignatureBytes = 64;
constexpr std::size_t kHeadBytes = kMarkBytes + kIdBytes;
constexpr std::size_t kHashBytes = 64;
constexpr std::string_view kUntrusted = "untrusted comment: ";
constexpr std::string_view kTrusted = "trusted comment: ";

Error refuse(const std::string& clause) { return {"signature_refused", clause}; }

// Exactly `wanted` lines, each ended by LF or CRLF; the last may have no end.
Result<std::vector<std::string>> lines_of(std::string_view text, std::size_t wanted) {
  std::vector<std::string> lines;
  while (!text.empty() && lines.size() <= wanted) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.size() > kCommentBytesMax) return refuse("line " + std::to_string(lines.size() + 1) + " is too long");
    lines.emplace_back(line);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  if (lines.size() == wanted) return lines;
  return refuse("has " + std::string(lines.size() < wanted ? "fewer" : "more") + " than the " + std::to_string(wanted) +
                " lines that minisign writes; take the file as minisign made it");
}

Result<std::string> comment_of(const std::string& line, std::string_view mark) {
  if (line.starts_with(mark)) return line.substr(mark.size());
  return refuse("has \"" + printable(line, 40) + "\" where \"" + std::string(mark) + "\" is due");
}

// minisign keeps the number of a key little endian, and prints it as one number.
std::string id_text(std::string_view bytes) { return Poco::toUpper(hex(std::string(bytes.rbegin(), bytes.rend()))); }

Result<std::string> bytes_of(const std::string& line, std::size_t wanted, const std::string& what) {
  auto bytes = from_base64(line);
  if (bytes && bytes->size() == wanted) return bytes;
  return refuse("holds no " + what + ": " + std::to_string(wanted) + " bytes in base64 are due");
}

std::string blake2b_512(std::string_view bytes) {
  std::string hash(kHashBytes, '\0');
  unsigned length = 0;
  const int done = EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(hash.data()), &length,
                              EVP_blake2b512(), nullptr);
  return done == 1 && length == kHashBytes ? hash : "";
}

bool is_signed(std::string_view bytes, std::string_view signature, std::string_view point) {
  const auto* raw = reinterpret_cast<const unsigned char*>(point.data());
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw, point.size()), &EVP_PKEY_free);
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> check(EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  if (!key || !check || EVP_DigestVerifyInit(check.get(), nullptr, nullptr, nullptr, key.get()) != 1) return false;
  return EVP_DigestVerify(check.get(), reinterpret_cast<const unsigned char*>(signature.data()), signature.size(),
                          reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()) == 1;
}

}  // namespace

Result<PublicKey> read_public_key(std::string_view text) {
  const auto lines = lines_of(text, 2);
  if (!lines) return lines.error();
  if (const auto comment = comment_of((*lines)[0], kUntrusted); !comment) return comment.error();
  const auto bytes = bytes_of((*lines)[1], kHeadBytes + kPointBytes, "minisign public key");
  if (!bytes) return bytes.error();
  if (bytes->substr(0, kMarkBytes) != "Ed") return refuse("holds a key of another kind than Ed25519");
  return PublicKey{id_text(bytes->substr(kMarkBytes, kIdBytes)), bytes->substr(kHeadBytes)};
}

Result<Signature> read_signature(std::string_view text) {
  const auto lines = lines_of(text, 4);
  if (!lines) return lines.error();
  if (const auto comment = comment_of((*lines)[0], kUntrusted); !comment) return comment.error();
  const auto bytes = bytes_of((*lines)[1], kHeadBytes + kSignatureBytes, "minisign signature");
  if (!bytes) return bytes.error();
  const std::string mark = bytes->substr(0, kMarkBytes);
  if (mark != "ED" && mark != "Ed") return refuse("holds a signature of another kind than Ed25519");
  auto comment = comment_of((*lines)[2], kTrusted);
  if (!comment) return comment.error();
  auto comment_bytes = bytes_of((*lines)[3], kSignatureBytes, "signature of the trusted comment");
  if (!comment_bytes) return comment_bytes.error();
  return Signature{mark == "ED", id_text(bytes->substr(kMarkBytes, kIdBytes)), bytes->substr(kHeadBytes),
                   std::move(*comment), std::move(*comment_bytes)};
}

Status check_signature(const Signature& signature, const PublicKey& key, std::string_view bytes) {
  if (signature.key_id != key.id) return refuse("is by key " + signature.key_id + ", not by key " + key.id);
  const std::string hash = signature.hashed ? blake2b_512(bytes) : "";
  if (signature.hashed && hash.empty()) return refuse("cannot be checked: the system's OpenSSL has no BLAKE2b-512");
  if (!is_signed(signature.hashed ? std::string_view(hash) : bytes, signature.bytes, key.point))
    return refuse("is not for these bytes, or not by key " + key.id);
  if (!is_signed(signature.bytes + signature.trusted_comment, signature.comment_bytes, key.point))
    return refuse("has a trusted comment that key " + key.id + " did not sign");
  return ok();
}

std::string canonical_key_id(std::string_view text) {
  const std::string id = Poco::toUpper(std::string(text));
  const bool is_hex =
      std::all_of(id.begin(), id.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F'); });
  if (id.empty() || id.size() > 2 * kIdBytes || !is_hex) return "";
  return std::string(2 * kIdBytes - id.size(), '0') + id;
}

}  // namespace hawser::trust
