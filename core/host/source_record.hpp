#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hawser::host {

inline constexpr std::size_t kSourceBytesMax = 4096;  // what a plugin notes of one message (hawser/plugin.h)

// What stands in the spool for a message of send_source(): enough for the plugin to find the bytes, and to know them.
struct SourceRecord {
  bool compress = false;
  std::uint64_t length = 0;  // of the content, before it is compressed
  std::uint32_t checksum = 0;
  std::string source;

  static SourceRecord of(std::string_view source, std::string_view content, bool compress);
  static std::optional<SourceRecord> read(std::string_view bytes);
  std::string to_bytes() const;
  bool fits(std::string_view content) const;
};

// What the plugin said to it: the payload, or why there is none.
struct SourceAnswer {
  std::uint64_t ticket = 0;
  std::optional<std::string> payload;
  bool compressed = false;
  std::string why;
};

}  // namespace hawser::host
