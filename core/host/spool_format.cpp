#include "core/host/spool_format.hpp"

#include <boost/crc.hpp>
#include <charconv>
#include <cstdio>
#include <sstream>

namespace hawser::host::spool_format {
namespace {

constexpr std::string_view kSegmentMagic = "HWSPOOL";
constexpr std::string_view kRecordMagic = "RS";
constexpr std::string_view kStreamMagic = "hawser-spool-stream-1";
constexpr std::size_t kNumberDigits = 16;
constexpr std::string_view kSegmentSuffix = ".seg";

void put(std::string& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out += static_cast<char>((value >> (8 * i)) & 0xff);
}

std::uint64_t get(std::string_view bytes, std::size_t offset, int count) {
  std::uint64_t value = 0;
  for (int i = count; i-- > 0;)
    value = (value << 8) | static_cast<unsigned char>(bytes[offset + static_cast<std::size_t>(i)]);
  return value;
}

std::uint32_t header_checksum(std::string_view bytes, std::uint64_t number) {
  std::string salted(bytes);
  put(salted, number, 8);
  return crc32c(salted);
}

}  // namespace

std::uint32_t crc32c(std::string_view bytes) {
  boost::crc_optimal<32, 0x1EDC6F41, 0xFFFFFFFF, 0xFFFFFFFF, true, true> crc;
  crc.process_bytes(bytes.data(), bytes.size());
  return crc.checksum();
}

std::string segment_name(std::uint64_t number) {
  char digits[kNumberDigits + 1];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(number));
  return digits + std::string(kSegmentSuffix);
}

std::optional<std::uint64_t> segment_number(std::string_view name) {
  if (name.size() != kNumberDigits + kSegmentSuffix.size() || !name.ends_with(kSegmentSuffix)) return std::nullopt;
  std::uint64_t number = 0;
  const auto [end, problem] = std::from_chars(name.data(), name.data() + kNumberDigits, number, 16);
  if (problem != std::errc() || end != name.data() + kNumberDigits || segment_name(number) != name) return std::nullopt;
  return number;
}

std::string to_bytes(const SegmentHeader& header, std::uint64_t number) {
  std::string out(kSegmentMagic);
  put(out, header.version, 1);
  put(out, header.accepted, 8);
  put(out, header.released, 8);
  put(out, 0, 4);
  put(out, header_checksum(out, number), 4);
  return out;
}

std::optional<SegmentHeader> read_segment_header(std::string_view bytes, std::uint64_t number) {
  if (bytes.size() < kSegmentHeaderBytes || !bytes.starts_with(kSegmentMagic)) return std::nullopt;
  if (get(bytes, 28, 4) != header_checksum(bytes.substr(0, 28), number)) return std::nullopt;
  return SegmentHeader{static_cast<std::uint8_t>(get(bytes, 7, 1)), get(bytes, 8, 8), get(bytes, 16, 8)};
}

std::string to_bytes(RecordHeader header, std::string_view bytes, std::uint64_t number) {
  std::string out;
  out.reserve(kRecordHeaderBytes + bytes.size());
  out += kRecordMagic;
  put(out, header.version, 1);
  put(out, header.kind, 1);
  put(out, bytes.size(), 4);
  put(out, header.ticket, 8);
  put(out, header.other, 8);
  put(out, crc32c(bytes), 4);
  put(out, header_checksum(out, number), 4);
  out += bytes;
  return out;
}

std::optional<RecordHeader> read_record_header(std::string_view bytes, std::uint64_t number) {
  if (bytes.size() < kRecordHeaderBytes || !bytes.starts_with(kRecordMagic)) return std::nullopt;
  if (get(bytes, 28, 4) != header_checksum(bytes.substr(0, 28), number)) return std::nullopt;
  RecordHeader header;
  header.version = static_cast<std::uint8_t>(get(bytes, 2, 1));
  header.kind = static_cast<std::uint8_t>(get(bytes, 3, 1));
  header.length = static_cast<std::uint32_t>(get(bytes, 4, 4));
  header.ticket = get(bytes, 8, 8);
  header.other = get(bytes, 16, 8);
  header.checksum = static_cast<std::uint32_t>(get(bytes, 24, 4));
  return header;
}

std::string to_bytes(const StreamFile& file) {
  std::string text = std::string(kStreamMagic) + "\n" + file.id + "\n" + std::to_string(file.base) + "\n" +
                     (file.relaxed.empty() ? "-" : file.relaxed) + "\n";
  return text + std::to_string(crc32c(text)) + "\n";
}

std::optional<StreamFile> read_stream_file(std::string_view bytes) {
  std::istringstream lines{std::string(bytes)};
  std::string magic, id, base, relaxed, checksum, more;
  if (!std::getline(lines, magic) || !std::getline(lines, id) || !std::getline(lines, base) ||
      !std::getline(lines, relaxed) || !std::getline(lines, checksum) || std::getline(lines, more))
    return std::nullopt;
  StreamFile file{id, 0, relaxed == "-" ? "" : relaxed};
  const auto [end, problem] = std::from_chars(base.data(), base.data() + base.size(), file.base);
  if (problem != std::errc() || end != base.data() + base.size()) return std::nullopt;
  if (id.empty() || to_bytes(file) != bytes) return std::nullopt;
  return file;
}

}  // namespace hawser::host::spool_format
