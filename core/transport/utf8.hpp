#pragma once

#include <cstdint>
#include <string_view>

namespace hawser::transport {

// Checks UTF-8 that arrives in pieces and fails at the first byte that no continuation could mend, not at the end of
// the text: RFC 6455 lets a text be ended that early, and a conformance suite asks for it. The rows are those of
// Unicode table 3-7, so overlong forms, surrogates and values above U+10FFFF are out. One thread.
class Utf8Validator {
 public:
  // False from the first impossible byte on, for ever.
  bool feed(std::string_view bytes);
  // Whether the text may end here.
  bool complete() const { return valid_ && needed_ == 0; }
  void reset() { *this = Utf8Validator(); }

 private:
  bool take_lead(std::uint8_t byte);

  bool valid_ = true;
  std::uint8_t needed_ = 0;     // continuation bytes still due
  std::uint8_t lowest_ = 0x80;  // what the next one may be
  std::uint8_t highest_ = 0xBF;
};

}  // namespace hawser::transport
