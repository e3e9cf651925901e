#pragma once

#include <string>

#include "hawser/plugin.h"

namespace hawser::host {

// An hws_sink that keeps at most `limit` bytes of text; more is refused with HWS_E_INVALID. Valid while it lives.
class TextSink {
 public:
  explicit TextSink(std::size_t limit = 1024) : limit_(limit) {}
  TextSink(const TextSink&) = delete;
  TextSink& operator=(const TextSink&) = delete;

  const hws_sink* sink() const { return &sink_; }
  const std::string& text() const { return text_; }

 private:
  static hws_status write(void* to, const void* data, size_t len) {
    auto& self = *static_cast<TextSink*>(to);
    const std::size_t room = self.limit_ - self.text_.size();
    if (data) self.text_.append(static_cast<const char*>(data), len < room ? len : room);
    return len <= room ? HWS_OK : HWS_E_INVALID;
  }

  const std::size_t limit_;
  std::string text_;
  hws_sink sink_{this, &TextSink::write};
};

inline std::string_view view(hws_str text) { return text.ptr ? std::string_view(text.ptr, text.len) : ""; }
inline hws_str borrow(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace hawser::host
