#include "core/transport/utf8.hpp"

#include <string>

#include "tests/catch.hpp"

using hawser::transport::Utf8Validator;

namespace {

std::string encoded(char32_t code) {
  if (code < 0x80) return {static_cast<char>(code)};
  if (code < 0x800) return {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 63))};
  if (code < 0x10000)
    return {static_cast<char>(0xE0 | code >> 12), static_cast<char>(0x80 | (code >> 6 & 63)),
            static_cast<char>(0x80 | (code & 63))};
  return {static_cast<char>(0xF0 | code >> 18), static_cast<char>(0x80 | (code >> 12 & 63)),
          static_cast<char>(0x80 | (code >> 6 & 63)), static_cast<char>(0x80 | (code & 63))};
}

bool valid(const std::string& text) {
  Utf8Validator validator;
  return validator.feed(text) && validator.complete();
}

}  // namespace

TEST_CASE("exactly the Unicode scalar values are valid, each also byte by byte") {
  for (char32_t code = 0; code < 0x140000; ++code) {
    const bool scalar = code <= 0x10FFFF && (code < 0xD800 || code > 0xDFFF);
    const std::string text = encoded(code);
    Utf8Validator bytewise;
    for (const char c : text) bytewise.feed({&c, 1});
    if (valid(text) != scalar || (bytewise.complete() != scalar)) {
      INFO("U+" << std::hex << static_cast<unsigned long>(code));
      REQUIRE(false);
    }
  }
}

TEST_CASE("every text of two bytes is judged as the table says") {
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const bool ascii = first < 0x80 && second < 0x80;
      const bool pair = first >= 0xC2 && first <= 0xDF && second >= 0x80 && second <= 0xBF;
      if (valid({static_cast<char>(first), static_cast<char>(second)}) != (ascii || pair)) {
        INFO(first << " " << second);
        REQUIRE(false);
      }
    }
  }
}

TEST_CASE("an impossible byte is seen before the text ends, and stays seen") {
  Utf8Validator validator;
  CHECK(validator.feed("fine \xf4"));
  CHECK(!validator.complete());
  CHECK(!validator.feed("\x90"));  // beyond U+10FFFF, whatever follows
  CHECK(!validator.feed("fine again"));
  CHECK(!validator.complete());
  validator.reset();
  CHECK(validator.feed("fine again"));
  CHECK(validator.complete());
}

TEST_CASE("a bad byte is found at every place of a long text") {
  for (std::size_t at = 0; at < 64; ++at) {
    std::string text(64, 'a');
    text[at] = '\xff';
    CHECK(!valid(text));
  }
}
