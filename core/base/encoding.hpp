#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/base/result.hpp"

// Text forms of bytes, and bytes from the kernel's random source. Any thread; nothing here blocks.
namespace hawser {

// RFC 4648 §5 without padding. Decoding is strict: no padding, no other character, no stray bits.
std::string base64url(std::string_view bytes);
Result<std::string> from_base64url(std::string_view text);
// RFC 4648 §4 with padding, as RFC 6455 and content_b64 use it.
std::string base64(std::string_view bytes);
Result<std::string> from_base64(std::string_view text);
std::string hex(std::string_view bytes);

std::string sha256(std::string_view bytes);  // 32 raw bytes

// From getrandom(2); throws std::system_error when the kernel refuses, which it does not after boot.
void random_bytes(std::span<std::byte> out);
std::uint64_t random_below(std::uint64_t bound);  // uniform in [0, bound); 0 for bound 0
std::string random_uuid();                        // RFC 4122 version 4, lower case

// Each control character, DEL, byte that is not UTF-8, and bidirectional override becomes \xNN: safe in a log line, a
// terminal and a JSON answer. Keeps at most `limit` bytes of the input and marks a cut with "...".
std::string printable(std::string_view text, std::size_t limit = 120);

bool is_utf8(std::string_view text);

}  // namespace hawser
