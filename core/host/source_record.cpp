#include "core/host/source_record.hpp"

#include "core/host/spool_format.hpp"

namespace hawser::host {
namespace {
constexpr std::size_t kHeadBytes = 13;  // compress, length, checksum; then the source
}

SourceRecord SourceRecord::of(std::string_view source, std::string_view content, bool compress) {
  return {compress, content.size(), spool_format::crc32c(content), std::string(source)};
}

bool SourceRecord::fits(std::string_view content) const {
  return content.size() == length && spool_format::crc32c(content) == checksum;
}

std::string SourceRecord::to_bytes() const {
  std::string bytes(1, compress ? '\1' : '\0');
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>((length >> (8 * i)) & 0xff);
  for (int i = 0; i < 4; ++i) bytes += static_cast<char>((checksum >> (8 * i)) & 0xff);
  return bytes + source;
}

std::optional<SourceRecord> SourceRecord::read(std::string_view bytes) {
  if (bytes.size() < kHeadBytes) return std::nullopt;
  SourceRecord record;
  record.compress = bytes[0] == '\1';
  for (std::size_t i = 0; i < 8; ++i)
    record.length |= static_cast<std::uint64_t>(static_cast<unsigned char>(bytes[1 + i])) << (8 * i);
  for (std::size_t i = 0; i < 4; ++i)
    record.checksum |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[9 + i])) << (8 * i);
  record.source = bytes.substr(kHeadBytes);
  return record;
}

}  // namespace hawser::host
