#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.hpp"

// The bytes of a spool's files, little-endian. A folder holds segments `<16 hex digits>.seg`, in the order of their
// numbers, and `stream`. A segment is a header and then records, each with its own two checksums (CRC32C): one of its
// header, so that a damaged payload costs no other record, and one of its bytes. The segment's number is part of every
// header's checksum: a payload that carries a copy of some spool's bytes is no record.
namespace hawser::host::spool_format {

inline constexpr std::uint8_t kVersion = 1;  // of records and of segments
inline constexpr std::size_t kSegmentHeaderBytes = 32;
inline constexpr std::size_t kRecordHeaderBytes = 32;
inline constexpr const char* kStreamName = "stream";
inline constexpr const char* kStagedSuffix = ".new";  // not whole yet
inline constexpr std::size_t kStreamBytesMax = 1024;

std::uint32_t crc32c(std::string_view bytes);

std::string segment_name(std::uint64_t number);
std::optional<std::uint64_t> segment_number(std::string_view name);

// `HWSPOOL` and the version, accepted, released, four zeros, checksum.
struct SegmentHeader {
  std::uint8_t version = kVersion;
  std::uint64_t accepted = 0;  // on stable storage up to here when it was begun
  std::uint64_t released = 0;  // acknowledged up to here then
};
std::string to_bytes(const SegmentHeader& header, std::uint64_t number);
std::optional<SegmentHeader> read_segment_header(std::string_view bytes, std::uint64_t number);

// `RS`, version, kind, length, ticket, other, checksum of the bytes, checksum of the header.
struct RecordHeader {
  static constexpr std::uint8_t kMark = 4;  // no record: ticket: accepted up to here; other: released up to here
  static constexpr std::uint8_t kDropped =
      5;  // no record: the tickets from `ticket` to `other` were dropped at the limit
  std::uint8_t version = kVersion;
  std::uint8_t kind = 0;
  std::uint32_t length = 0;
  std::uint64_t ticket = 0;
  std::uint64_t other = 0;  // of a record: accepted up to here when it was written
  std::uint32_t checksum = 0;

  bool is_record() const { return kind >= 1 && kind <= 3; }
};
std::string to_bytes(RecordHeader header, std::string_view bytes, std::uint64_t number);  // length and checksum are set
std::optional<RecordHeader> read_record_header(std::string_view bytes, std::uint64_t number);

// The small file beside the segments.
struct StreamFile {
  std::string id;
  std::uint64_t base = 0;  // everything up to it is released
  std::string relaxed;     // not empty: numbers may have been sent that are not on disk, since that boot of the machine
};
std::string to_bytes(const StreamFile& file);
std::optional<StreamFile> read_stream_file(std::string_view bytes);

}  // namespace hawser::host::spool_format
