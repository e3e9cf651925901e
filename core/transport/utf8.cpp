#include "core/transport/utf8.hpp"

#include <cstring>

namespace hawser::transport {
namespace {

constexpr std::uint64_t kHighBits = 0x8080808080808080ULL;

// Most text is ASCII: skipped eight bytes at a time.
const char* skip_ascii(const char* at, const char* end) {
  while (end - at >= 8) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, at, sizeof eight);
    if (eight & kHighBits) break;
    at += 8;
  }
  return at;
}

}  // namespace

bool Utf8Validator::take_lead(std::uint8_t byte) {
  lowest_ = 0x80;
  highest_ = 0xBF;
  if (byte < 0x80) return true;
  if (byte < 0xC2) return false;  // a continuation without a lead, or an overlong form of ASCII
  if (byte <= 0xDF) {
    needed_ = 1;
  } else if (byte <= 0xEF) {
    needed_ = 2;
    if (byte == 0xE0) lowest_ = 0xA0;   // below: overlong
    if (byte == 0xED) highest_ = 0x9F;  // above: surrogates
  } else if (byte <= 0xF4) {
    needed_ = 3;
    if (byte == 0xF0) lowest_ = 0x90;   // below: overlong
    if (byte == 0xF4) highest_ = 0x8F;  // above: beyond U+10FFFF
  } else {
    return false;
  }
  return true;
}

bool Utf8Validator::feed(std::string_view bytes) {
  const char* at = bytes.data();
  const char* const end = at + bytes.size();
  while (valid_ && at < end) {
    if (needed_ == 0) {
      at = skip_ascii(at, end);
      if (at == end) break;
      valid_ = take_lead(static_cast<std::uint8_t>(*at++));
      continue;
    }
    const auto byte = static_cast<std::uint8_t>(*at++);
    valid_ = byte >= lowest_ && byte <= highest_;
    lowest_ = 0x80;
    highest_ = 0xBF;
    --needed_;
  }
  return valid_;
}

}  // namespace hawser::transport
