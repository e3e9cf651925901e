#pragma once

#include <cstdint>
#include <string>

#include "hawser/plugin.h"

namespace hawser::host {

// An hws_sink that keeps at most `bytes_max` bytes; a part that goes over is refused whole. Valid while it lives.
class ContentSink {
 public:
  explicit ContentSink(std::uint64_t bytes_max) : bytes_max_(bytes_max) {}
  ContentSink(const ContentSink&) = delete;
  ContentSink& operator=(const ContentSink&) = delete;

  const hws_sink* sink() const { return &sink_; }
  const std::string& content() const { return content_; }
  bool overran() const { return overran_; }

 private:
  static hws_status write(void* to, const void* data, size_t len) {
    auto& self = *static_cast<ContentSink*>(to);
    if (!data && len > 0) return HWS_E_INVALID;
    if (len > self.bytes_max_ - self.content_.size()) {
      self.overran_ = true;
      return HWS_E_INVALID;
    }
    if (len > 0) self.content_.append(static_cast<const char*>(data), len);
    return HWS_OK;
  }

  const std::uint64_t bytes_max_;
  std::string content_;
  bool overran_ = false;
  hws_sink sink_{this, &ContentSink::write};
};

}  // namespace hawser::host
