#include "core/host/spool_scan.hpp"

#include <algorithm>

namespace hawser::host {

using namespace spool_format;

namespace {

constexpr std::size_t kAsideMax = 4;   // damaged segments that are kept to be looked at; the oldest go
constexpr std::size_t kWordsMax = 32;  // sentences; the counts go on
constexpr const char* kDamagedSuffix = ".damaged";
constexpr const char* kUnknownSuffix = ".unknown";

// The offset of the next record header after `from`; the end when there is none.
std::size_t next_header(std::string_view bytes, std::size_t from, std::uint64_t number) {
  for (std::size_t at = from; (at = bytes.find("RS", at)) != std::string_view::npos; ++at)
    if (read_record_header(bytes.substr(at), number)) return at;
  return bytes.size();
}

class Scanner {
 public:
  Scanner(std::string_view bytes, std::uint64_t number) : bytes_(bytes) {
    scan_.number = number;
    scan_.size = bytes.size();
  }

  SpoolScan run(SpoolTold& told) {
    if (const auto header = read_segment_header(bytes_, scan_.number)) {
      scan_.has_header = true;
      scan_.unknown = header->version != kVersion;
      scan_.first = header->accepted + 1;
      scan_.good_end = kSegmentHeaderBytes;
      told_.accepted = header->accepted;
      told_.released = header->released;
    }
    for (std::size_t at = std::min(kSegmentHeaderBytes, bytes_.size()); at < bytes_.size();) {
      const auto header = read_record_header(bytes_.substr(at), scan_.number);
      at = header ? take(*header, at) : next_header(bytes_, at + 1, scan_.number);
    }
    if (!scan_.has_header && !scan_.records.empty()) scan_.first = scan_.records.front().ticket;
    if (scan_.unknown) told_ = {0, 0, told_.unknown_last, {}, {}};
    told.unknown_last = std::max(told.unknown_last, scan_.unknown ? told_.unknown_last : 0);
    told.accepted = std::max(told.accepted, told_.accepted);
    told.released = std::max(told.released, told_.released);
    told.dropped.insert(told.dropped.end(), told_.dropped.begin(), told_.dropped.end());
    told.too_big.merge(told_.too_big);
    return std::move(scan_);
  }

 private:
  // Where to go on.
  std::size_t take(const RecordHeader& header, std::size_t at) {
    scan_.unknown |= header.version != kVersion;
    const std::string_view content = bytes_.substr(at + kRecordHeaderBytes).substr(0, header.length);
    const std::size_t end = at + kRecordHeaderBytes + header.length;
    const bool whole = content.size() == header.length;
    if (header.is_record()) {
      told_.unknown_last = std::max(told_.unknown_last, header.ticket);
      told_.accepted = std::max(told_.accepted, header.other);
      if (header.length > kSpoolRecordBytesMax)
        told_.too_big.insert(header.ticket);
      else if (whole && crc32c(content) == header.checksum)
        record(header, at, end);
    } else {
      if (header.kind == RecordHeader::kMark) {
        told_.accepted = std::max(told_.accepted, header.ticket);
        told_.released = std::max(told_.released, header.other);
      } else if (header.kind == RecordHeader::kDropped) {
        told_.dropped.emplace_back(header.ticket, header.other);
      }
      scan_.good_end = std::min(end, bytes_.size());
    }
    return whole ? end : next_header(bytes_, at + 1, scan_.number);
  }

  // Tickets in a segment go up, and never in leaps: such a record is none of ours.
  void record(const RecordHeader& header, std::size_t at, std::size_t end) {
    const std::uint64_t due = !scan_.records.empty() ? scan_.records.back().ticket + 1
                              : scan_.has_header     ? scan_.first
                                                     : header.ticket;
    if (header.ticket < due || header.ticket - due > kSpoolRecordsMax) return;
    scan_.records.push_back({header.ticket, static_cast<Spool::Kind>(header.kind), static_cast<std::uint32_t>(at),
                             static_cast<std::uint32_t>(end)});
    scan_.good_end = end;
  }

  const std::string_view bytes_;
  SpoolScan scan_;
  SpoolTold told_;
};

}  // namespace

SpoolReader::SpoolReader(SpoolFiles& files, Spool::Recovery& recovery) : files_(files), recovery_(recovery) {
  auto names = files_.list();
  if (!names) say("the folder cannot be read: " + names.error().message);
  if (names) names_ = std::move(*names);
  std::sort(names_.begin(), names_.end());
}

void SpoolReader::say(const std::string& words) {
  if (recovery_.words.size() < kWordsMax) recovery_.words.push_back(words);
}

std::optional<StreamFile> SpoolReader::stream() {
  if (!std::binary_search(names_.begin(), names_.end(), kStreamName)) return std::nullopt;
  const auto bytes = whole(kStreamName, kStreamBytesMax + 1);
  auto file = bytes ? read_stream_file(*bytes) : std::nullopt;
  if (!file) say("the file `stream` is damaged: a new stream begins");
  return file;
}

std::vector<SpoolScan> SpoolReader::segments(SpoolTold& told) {
  std::vector<SpoolScan> scans;
  for (const std::string& name : names_) {
    if (name.ends_with(kStagedSuffix)) static_cast<void>(files_.remove(name));  // of a process that was killed
    const auto number = segment_number(name.substr(0, segment_name(0).size()));
    if (!number) continue;
    next_segment_ = std::max(next_segment_, *number + 1);
    if (name != segment_name(*number)) continue;
    const auto damaged = recovery_.damaged_segments;
    auto scanned = segment(*number, told);
    lost_newest_ = recovery_.damaged_segments > damaged;
    if (scanned) scans.push_back(std::move(*scanned));
  }
  forget_old();
  return scans;
}

std::optional<SpoolScan> SpoolReader::segment(std::uint64_t number, SpoolTold& told) {
  const std::string name = segment_name(number);
  const auto size = files_.size(name);
  auto bytes = size && *size <= kSegmentFileMax ? whole(name, *size) : Result<std::string>(Error{"io", "too long"});
  if (!bytes) {
    put_aside(name, kDamagedSuffix, size ? bytes.error().message : size.error().message);
    ++recovery_.damaged_segments;
    return std::nullopt;
  }
  SpoolScan scanned = Scanner(*bytes, number).run(told);
  if (scanned.unknown) {
    put_aside(name, kUnknownSuffix, "it was written by a later version");
    ++recovery_.unknown_segments;
    return std::nullopt;
  }
  if (!scanned.has_header && scanned.records.empty()) {
    put_aside(name, kDamagedSuffix, "no record in it can be read");
    ++recovery_.damaged_segments;
    return std::nullopt;
  }
  if (!scanned.has_header) say(name + ": its header is damaged; its records are used");
  return scanned;
}

Result<std::string> SpoolReader::whole(const std::string& name, std::size_t most) {
  std::string bytes;
  while (bytes.size() < most) {
    auto part = files_.read(name, bytes.size(), most - bytes.size());
    if (!part) return part;
    if (part->empty()) break;
    bytes += *part;
  }
  return bytes;
}

void SpoolReader::put_aside(const std::string& name, const char* suffix, const std::string& why) {
  const Status renamed = files_.rename(name, name + suffix);
  say(name + ": " + why + "; it is kept as " + name + suffix + (renamed ? "" : ", but " + renamed.error().message));
}

void SpoolReader::forget_old() {
  std::vector<std::string> aside;
  for (const std::string& name : names_)
    if (name.ends_with(kDamagedSuffix)) aside.push_back(name);
  for (std::size_t i = 0; i + kAsideMax < aside.size(); ++i) static_cast<void>(files_.remove(aside[i]));
}

}  // namespace hawser::host
