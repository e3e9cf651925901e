#include <algorithm>

#include "core/host/spool_scan.hpp"

// What lies in a spool's folder when it is opened becomes an index. Nothing here fails: what cannot be used is cut,
// passed over or put aside, counted, and said in words.
namespace hawser::host {

using namespace spool_format;

namespace {

std::string numbers(std::uint64_t from, std::uint64_t to) {
  return from == to ? "record " + std::to_string(from)
                    : "records " + std::to_string(from) + " to " + std::to_string(to);
}

bool were_dropped(std::uint64_t from, std::uint64_t to, const SpoolTold& told) {
  for (const auto& [first, last] : told.dropped)  // in the order in which they were dropped
    if (first <= from && from <= last) from = last + 1;
  return from > to;
}

}  // namespace

// From what the files say to `segments`, then to `accepted`, `next` and the stream.
struct Spool::Recoverer {
  Inside& in;
  Recovery& recovery;
  SpoolReader reader{*in.files, recovery};
  SpoolTold told = {};
  bool torn = false;       // the newest segment ended otherwise than behind a record or mark
  bool uncertain = false;  // tickets may have been given that nothing here tells of

  void run() {
    const auto file = reader.stream();
    std::vector<SpoolScan> scans = reader.segments(told);
    in.next_segment = reader.next_segment();
    uncertain = reader.lost_newest();
    in.released = std::max(told.released, file ? file->base : 0);
    in.accepted = std::max({told.accepted, in.released, told.unknown_last});
    for (const SpoolScan& scan : scans) add(scan);
    if (!scans.empty()) cut_torn(scans.back());
    if (file && !in.segments.empty() && in.segments.back().end() <= file->base)
      reader.say("the file `stream` is newer than the records: all of them are taken as acknowledged");
    count_lost();
    find_sources(scans);
    take_unsynced();
    for (const Inside::Segment& each : in.segments)
      for (std::uint64_t ticket = each.first; ticket < each.end(); ++ticket)
        in.live += ticket <= in.accepted && each.offsets[ticket - each.first] != 0;
    in.forget_released();
    name_gaps();
    settle_stream(file);
    settle_names();
    in.remove_empty();
    recovery.records = in.live + in.unsynced.size();
  }

  void add(const SpoolScan& scan) {
    Inside::Segment segment{scan.number, scan.size, scan.first, {}};
    for (const SpoolScan::Found& record : scan.records) {
      segment.offsets.resize(record.ticket - segment.first);
      segment.offsets.push_back(record.offset);
    }
    for (Inside::Segment& each : in.segments) {  // what they hold from its first on counts no more
      each.first = std::min(each.first, segment.first);
      if (each.end() > segment.first) each.offsets.resize(segment.first - each.first);
    }
    in.segments.push_back(std::move(segment));
  }

  // Behind the first hole in what nobody was told of, nothing was told of either: the power went before the fsync.
  void cut_torn(const SpoolScan& scan) {
    Inside::Segment& newest = in.segments.back();
    std::uint64_t hole = std::max(newest.first, in.accepted + 1);
    while (hole < newest.end() && newest.offsets[hole - newest.first] != 0) ++hole;
    std::uint64_t good = scan.good_end;
    if (hole < newest.end()) {
      newest.offsets.resize(hole - newest.first);
      good = kSegmentHeaderBytes;
      for (const SpoolScan::Found& record : scan.records)
        if (record.ticket < hole) good = record.end;
    }
    torn = good < scan.size;
    if (torn) {
      recovery.torn_bytes += scan.size - good;
      reader.say(segment_name(scan.number) + ": the last " + std::to_string(scan.size - good) +
                 " bytes are torn; they are cut");
    }
    const bool cut = !torn || in.files->cut(segment_name(scan.number), good);
    if (cut) newest.size = good;
    if (cut && scan.has_header) in.newest = Inside::Newest::Open;
  }

  void count_lost() {
    std::uint64_t due = in.released + 1, before = 0;
    for (const Inside::Segment& each : in.segments) {
      // In front of the oldest is what was acknowledged or dropped when the mark of it was lost.
      if (before != 0 && each.first > due) lost(due, each.first - 1, each.number, each.number - before - 1);
      for (std::uint64_t ticket = std::max(each.first, due); ticket < each.end(); ++ticket)
        if (each.offsets[ticket - each.first] == 0) lost(ticket, ticket, each.number, 0);
      due = std::max(due, each.end());
      if (!each.offsets.empty()) before = each.number;
    }
    if (told.accepted < due) return;
    recovery.damaged_records += told.accepted - due + 1;
    reader.say("damage at the end: lost are " + numbers(due, told.accepted));
  }

  void lost(std::uint64_t from, std::uint64_t to, std::uint64_t number, std::uint64_t missing) {
    if (were_dropped(from, to, told)) return;
    recovery.missing_segments += missing;
    if (missing == 0) recovery.damaged_records += to - from + 1;
    reader.say((missing > 0 ? "a segment is missing before " : "damage in or before ") + segment_name(number) +
               ": lost are " + numbers(from, to));
  }

  void find_sources(const std::vector<SpoolScan>& scans) {
    for (const SpoolScan& scan : scans)
      for (const SpoolScan::Found& record : scan.records) {
        if (record.kind != Kind::Source || record.ticket <= in.released) continue;
        const Inside::Segment* const segment = in.segment_of(record.ticket);
        if (segment && segment->number == scan.number) recovery.sources.push_back(record.ticket);
      }
  }

  // What a killed process wrote is in the machine's memory, perhaps not on disk; and when its last fsync failed, another
  // one would say yes to pages that the kernel has given up. So it is written anew.
  void take_unsynced() {
    in.next = in.accepted + 1;
    if (in.segments.empty()) return;
    Inside::Segment& newest = in.segments.back();
    for (; in.next < newest.end(); ++in.next) {
      auto record = in.read_indexed(in.next);
      if (!record) {  // it was whole a moment ago
        newest.offsets.resize(in.next - newest.first);
        uncertain = true;
        break;
      }
      in.unsynced.push_back({record->kind, std::move(record->bytes)});
    }
    if (!in.unsynced.empty())
      in.newest = Inside::Newest::Untrusted;
    else if (newest.end() != in.next)
      in.newest = Inside::Newest::Closed;  // tickets in a segment are consecutive
  }

  void name_gaps() {
    for (const auto& [from, to] : told.dropped) {
      const std::uint64_t begin = std::max(from, in.released + 1);
      if (begin <= to && to <= in.accepted && in.live_after(begin - 1) > to) in.add_gap({begin, to, "spool_full"});
    }
    for (const std::uint64_t ticket : told.too_big)
      if (ticket > in.released && ticket <= in.accepted && in.live_after(ticket - 1) > ticket)
        in.add_gap({ticket, ticket, "too_big"});
  }

  void settle_stream(const std::optional<StreamFile>& file) {
    const bool relaxed = file && !file->relaxed.empty();
    std::string why;
    if (!file)
      why = in.segments.empty() ? "" : "the file `stream` is missing";
    else if (uncertain)
      why = "the newest records cannot be read";
    else if (relaxed && file->relaxed != in.files->boot())
      why = "the machine stopped while the spool was relaxed";
    else if (relaxed && torn)
      why = "the newest records of a relaxed spool are torn";
    if (!why.empty()) recovery.words.push_back(why + ": a new stream begins");
    const bool goes_on = file && why.empty();
    in.stream = goes_on ? Stream{file->id, file->base} : Stream{in.make_stream(), in.released};
    in.relaxed_since = file ? file->relaxed : "";
    in.stream_dirty = !goes_on || in.relaxed == file->relaxed.empty();
  }

  // A process that was killed may have given a name that is not on stable storage yet.
  void settle_names() {
    if (in.segments.empty() || in.files->sync_folder()) return;
    in.stream_dirty = true;
    if (in.newest == Inside::Newest::Open) in.newest = Inside::Newest::Closed;
  }
};

void Spool::Inside::recover(Recovery& recovery) { Recoverer{*this, recovery}.run(); }

}  // namespace hawser::host
