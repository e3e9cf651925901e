#include <algorithm>

#include "core/host/spool_inside.hpp"

// What is read from the spool and taken away.
namespace hawser::host {

using namespace spool_format;

namespace {

constexpr const char* kDamaged = "spool_damaged";
constexpr std::size_t kReadAtOnce = 4 * 1024;  // most records are there with the first read

}  // namespace

// ---- reading ------------------------------------------------------------------------------------------------------

Spool::Inside::Segment* Spool::Inside::segment_of(std::uint64_t ticket) {
  auto after = std::partition_point(segments.begin(), segments.end(),
                                    [&](const Segment& segment) { return segment.first <= ticket; });
  while (after != segments.begin()) {  // some of the last ones may be empty
    Segment& segment = *--after;
    if (ticket < segment.end()) return &segment;
    if (!segment.offsets.empty()) break;
  }
  return nullptr;
}

Result<std::string> Spool::Inside::read_whole(const std::string& name, std::uint64_t offset, std::size_t bytes) {
  std::string whole;
  while (whole.size() < bytes) {
    auto part = files->read(name, offset + whole.size(), bytes - whole.size());
    if (!part) return part;
    if (part->empty()) break;
    whole += *part;
  }
  return whole;
}

Result<Spool::Record> Spool::read(std::uint64_t ticket) {
  Inside& in = *inside_;
  if (ticket <= in.released || ticket >= in.next) return Error{"gap", "never written, or released"};
  if (ticket > in.accepted) {
    const Inside::Unsynced& record = in.unsynced[ticket - in.accepted - 1];
    return Record{ticket, record.kind, record.bytes};
  }
  if (const auto lost = gap(ticket)) return Error{"gap", lost->reason};
  return in.read_indexed(ticket);
}

// Of a ticket that the index has.
Result<Spool::Record> Spool::Inside::read_indexed(std::uint64_t ticket) {
  Segment& segment = *segment_of(ticket);
  const std::uint64_t offset = segment.offsets[ticket - segment.first];
  const std::string name = segment_name(segment.number);
  auto bytes = read_whole(name, offset, kReadAtOnce);
  if (!bytes) return lost_segment(segment);
  const auto header = read_record_header(*bytes, segment.number);
  if (!header || !header->is_record() || header->ticket != ticket) return damaged(segment, ticket, "its header");
  const std::size_t size = kRecordHeaderBytes + header->length;
  if (bytes->size() < size) {
    auto rest = read_whole(name, offset + bytes->size(), size - bytes->size());
    if (!rest) return lost_segment(segment);
    *bytes += *rest;
  }
  bytes->resize(std::min(bytes->size(), size));
  bytes->erase(0, kRecordHeaderBytes);
  if (bytes->size() != header->length || crc32c(*bytes) != header->checksum)
    return damaged(segment, ticket, "its bytes");
  return Record{ticket, static_cast<Kind>(header->kind), std::move(*bytes)};
}

Error Spool::Inside::damaged(Segment& segment, std::uint64_t ticket, const std::string& why) {
  segment.offsets[ticket - segment.first] = 0;
  live -= ticket <= accepted;
  return {"damaged", "record " + std::to_string(ticket) + " in " + segment_name(segment.number) + ": " + why +
                         " is damaged; it is lost"};
}

// A segment cannot be read. When somebody removed it, its records are lost; else the disk may come back.
Error Spool::Inside::lost_segment(Segment& segment) {
  const std::string name = segment_name(segment.number);
  const auto names = files->list();
  if (!names) return {"io", names.error().message};
  if (std::find(names->begin(), names->end(), name) != names->end()) return {"io", name + " cannot be read"};
  std::size_t lost = 0;
  for (std::uint64_t ticket = segment.first; ticket < std::min(segment.end(), accepted + 1); ++ticket) {
    std::uint32_t& offset = segment.offsets[ticket - segment.first];
    lost += offset != 0;
    offset = 0;
  }
  live -= lost;
  return {"damaged", name + " was removed; " + std::to_string(lost) + " records are lost"};
}

std::optional<Spool::Gap> Spool::gap(std::uint64_t ticket) const {
  Inside& in = *inside_;
  if (ticket <= in.released || ticket > in.accepted) return std::nullopt;
  const Inside::Segment* const segment = in.segment_of(ticket);
  if (segment && segment->offsets[ticket - segment->first] != 0) return std::nullopt;
  std::uint64_t to = std::min(in.live_after(ticket) - 1, in.accepted);
  const auto after = std::upper_bound(in.gaps.begin(), in.gaps.end(), ticket,
                                      [](std::uint64_t wanted, const Gap& each) { return wanted < each.from; });
  if (after != in.gaps.begin() && ticket <= std::prev(after)->to)
    return Gap{ticket, std::min(std::prev(after)->to, to), std::prev(after)->reason};
  if (after != in.gaps.end()) to = std::min(to, after->from - 1);
  return Gap{ticket, to, kDamaged};
}

// The next ticket after a lost one that may be read.
std::uint64_t Spool::Inside::live_after(std::uint64_t ticket) const {
  for (const Segment& segment : segments) {
    std::uint64_t found = std::max(segment.first, ticket + 1);
    while (found < segment.end() && segment.offsets[found - segment.first] == 0) ++found;
    if (found < segment.end()) return found;
  }
  return next;
}

void Spool::Inside::add_gap(Gap gap) {
  auto at = std::upper_bound(gaps.begin(), gaps.end(), gap.from,
                             [](std::uint64_t from, const Gap& each) { return from < each.from; });
  if (at != gaps.begin() && std::prev(at)->to + 1 == gap.from && std::prev(at)->reason == gap.reason) {
    std::prev(at)->to = gap.to;
    return;
  }
  gaps.insert(at, std::move(gap));
}

// ---- taking away --------------------------------------------------------------------------------------------------

// Unsynced ones stay in the index until they are accepted.
void Spool::Inside::forget_released() {
  const std::uint64_t end = std::min(released, accepted) + 1;
  for (Segment& segment : segments) {
    for (; segment.first < end && !segment.offsets.empty(); ++segment.first) {
      live -= segment.offsets.front() != 0;
      segment.offsets.pop_front();
    }
    if (!segment.offsets.empty()) return;
  }
}

// A segment without a record that counts may go when something else keeps its tickets from being given again: a later
// segment, or the stream's base.
void Spool::Inside::remove_empty() {
  if (stream_dirty) return;
  for (std::size_t i = 0; i < segments.size();) {
    const bool last = i + 1 == segments.size();
    const bool needed = last && (newest == Newest::Open || segments[i].end() > stream.base + 1);
    if (!segments[i].offsets.empty() || needed || !files->remove(segment_name(segments[i].number)))
      ++i;
    else
      segments.erase(segments.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

void Spool::release_through(std::uint64_t ticket) {
  Inside& in = *inside_;
  ticket = std::min(ticket, in.next - 1);
  if (ticket <= in.released) return;
  in.released = ticket;
  in.forget_released();
  std::erase_if(in.gaps, [&](const Gap& gap) { return gap.to <= ticket; });
  in.mark(RecordHeader::kMark, in.accepted, in.released);
  in.remove_empty();
}

std::vector<Spool::Gap> Spool::drop_oldest(std::size_t bytes) {
  Inside& in = *inside_;
  std::vector<Gap> dropped;
  for (std::size_t freed = 0; freed < bytes && !in.segments.empty() && !in.stream_dirty;) {
    if (in.segments.size() == 1 && !in.begin_segment()) break;  // the newest keeps the tickets from being given again
    if (in.segments.size() == 1) break;                         // it held nothing, and is gone
    Inside::Segment& oldest = in.segments.front();
    const std::uint64_t size = oldest.size, last = oldest.end() - 1;
    Gap gap{oldest.first, last, "spool_full"};
    if (!in.files->remove(segment_name(oldest.number))) break;
    for (const std::uint32_t offset : oldest.offsets) in.live -= offset != 0;
    in.segments.pop_front();
    freed += size;
    if (gap.from > gap.to) continue;
    std::erase_if(in.gaps, [&](const Gap& each) { return each.from >= gap.from && each.to <= gap.to; });
    in.mark(RecordHeader::kDropped, gap.from, gap.to);
    in.add_gap(gap);
    dropped.push_back(std::move(gap));
  }
  return dropped;
}

}  // namespace hawser::host
