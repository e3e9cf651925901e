#include "core/host/spool.hpp"

#include <algorithm>
#include <utility>

#include "core/host/spool_inside.hpp"

// What is written. What is read and taken away stands in spool_index.cpp.
namespace hawser::host {

using namespace spool_format;

namespace {

constexpr std::size_t kSegmentBytesLeast = 4096;
constexpr std::size_t kSegmentsShare = 8;  // so that dropping one segment drops this share of a small spool

}  // namespace

Spool::Spool(std::unique_ptr<Inside> inside) : inside_(std::move(inside)) {}
Spool::Spool(Spool&&) noexcept = default;
Spool& Spool::operator=(Spool&&) noexcept = default;

Spool::~Spool() {
  if (!inside_ || inside_->relaxed_since.empty() || !sync()) return;
  // Closed in order: everything is on disk, so the stream can go on whatever happens to the machine now. The result does
  // not matter: without it a new stream begins.
  inside_->relaxed = false;
  static_cast<void>(inside_->write_stream());
}

Spool Spool::open(std::unique_ptr<SpoolFiles> files, std::size_t bytes_max, bool relaxed,
                  std::function<std::string()> make_stream, Recovery& recovery) {
  auto inside = std::make_unique<Inside>();
  inside->files = std::move(files);
  inside->bytes_max = bytes_max;
  inside->segment_bytes = std::clamp(bytes_max / kSegmentsShare, kSegmentBytesLeast, kSegmentBytes);
  inside->relaxed = relaxed;
  inside->make_stream = std::move(make_stream);
  inside->recover(recovery);
  Spool spool(std::move(inside));
  if (!spool.inside_->unsynced.empty())
    if (Status done = spool.sync(); !done)
      recovery.words.push_back("the last records cannot be written anew yet: " + done.error().message);
  return spool;
}

// ---- whole files --------------------------------------------------------------------------------------------------

// A file is there under its name with all its bytes on stable storage, or not at all.
Status Spool::Inside::stage(const std::string& name, std::string_view bytes) {
  const std::string staged = name + kStagedSuffix;
  if (Status done = files->remove(staged); !done) return done;  // of a try that could not be cleared away
  if (Status done = files->create(staged); !done) return done;
  Status done = files->append(staged, bytes);
  if (done) done = files->sync(staged);
  if (!done) static_cast<void>(files->remove(staged));  // a full disk has use for its room
  return done;
}

Status Spool::Inside::publish(const std::string& name) {
  if (Status done = files->rename(name + kStagedSuffix, name); !done) return done;
  return files->sync_folder();
}

std::string Spool::Inside::boot() const {
  const std::string name = files->boot();
  return name.empty() ? "unknown" : name;
}

Status Spool::Inside::write_stream() {
  stream_dirty = true;
  const StreamFile file{stream.id, stream.base, relaxed ? boot() : ""};
  if (Status done = stage(kStreamName, to_bytes(file)); !done) return done;
  if (Status done = publish(kStreamName); !done) return done;
  relaxed_since = file.relaxed;
  stream_dirty = false;
  remove_empty();  // of a discard() that could not
  return ok();
}

// What is not accepted yet is on stable storage first: from the newest segment while that is trusted, else written anew.
Status Spool::Inside::begin_segment() {
  if (newest != Newest::Untrusted)
    if (Status done = sync_newest(); !done) return done;
  Segment fresh{next_segment++, 0, accepted + 1, {}};
  std::string bytes = to_bytes(SegmentHeader{kVersion, accepted, released}, fresh.number);
  RecordHeader header;
  header.ticket = header.other = accepted;
  for (const Unsynced& record : unsynced) {
    fresh.offsets.push_back(static_cast<std::uint32_t>(bytes.size()));
    header.kind = static_cast<std::uint8_t>(record.kind);
    ++header.ticket;
    bytes += to_bytes(header, record.bytes, fresh.number);
  }
  fresh.size = bytes.size();
  if (Status done = stage(segment_name(fresh.number), bytes); !done) return done;
  // From here on it may stand on disk, and then nothing that is written to an earlier one counts.
  if (newest == Newest::Open) newest = Newest::Closed;
  if (Status done = publish(segment_name(fresh.number)); !done) return done;
  if (!segments.empty() && segments.back().end() > fresh.first) {
    Segment& old = segments.back();
    const std::size_t kept = fresh.first - old.first;
    const std::uint64_t size = old.offsets[kept];
    old.offsets.resize(kept);
    if (files->cut(segment_name(old.number), size)) old.size = size;  // its room only: it counts no more
  }
  segments.push_back(std::move(fresh));
  newest = Newest::Open;
  accept();
  return ok();
}

// ---- records ------------------------------------------------------------------------------------------------------

Result<std::uint64_t> Spool::append(Kind kind, std::string_view bytes) {
  Inside& in = *inside_;
  const std::size_t size = kRecordHeaderBytes + bytes.size();
  if (bytes.size() > kSpoolRecordBytesMax) return Error{"too_big", "a record is longer than a spool takes"};
  if (records() >= kSpoolRecordsMax) return Error{"full", "the spool holds as many records as it may"};
  if (used() + size + (used() == 0 ? kSegmentHeaderBytes : 0) > in.bytes_max)
    return Error{"full", "the spool holds as many bytes as it may"};
  if (in.stream_dirty)
    if (Status done = in.write_stream(); !done) return done.error();
  const auto fresh = [&] { return in.segments.back().size == kSegmentHeaderBytes; };
  if (in.newest != Inside::Newest::Open || (in.segments.back().size + size > in.segment_bytes && !fresh()))
    if (Status done = in.begin_segment(); !done) return done.error();
  Status done = in.write(kind, bytes);
  if (!done && !fresh()) {  // the file itself may be at its limit, and another one has room
    if (Status begun = in.begin_segment(); !begun) return begun.error();
    done = in.write(kind, bytes);
  }
  if (!done) return done.error();
  in.unsynced.push_back({kind, std::string(bytes)});
  return in.next++;
}

Status Spool::Inside::write(Kind kind, std::string_view bytes) {
  RecordHeader header;
  header.kind = static_cast<std::uint8_t>(kind);
  header.ticket = next;
  header.other = accepted;
  Segment& segment = segments.back();
  if (Status done = files->append(segment_name(segment.number), to_bytes(header, bytes, segment.number)); !done) {
    take_back(segment);
    return done;
  }
  segment.offsets.push_back(static_cast<std::uint32_t>(segment.size));
  segment.size += kRecordHeaderBytes + bytes.size();
  return ok();
}

// A line about the others, for the next recovery; lost in a power cut, and then it takes a little more for lost.
void Spool::Inside::mark(std::uint8_t kind, std::uint64_t ticket, std::uint64_t other) {
  if (newest != Newest::Open) return;
  RecordHeader header;
  header.kind = kind;
  header.ticket = ticket;
  header.other = other;
  Segment& segment = segments.back();
  if (files->append(segment_name(segment.number), to_bytes(header, "", segment.number)))
    segment.size += kRecordHeaderBytes;
  else
    take_back(segment);
}

// What was written in part. Where it stays, nothing can follow it: the recovery finds it torn.
void Spool::Inside::take_back(Segment& segment) {
  if (!files->cut(segment_name(segment.number), segment.size)) newest = Newest::Closed;
}

Status Spool::sync() {
  Inside& in = *inside_;
  if (!needs_sync()) return ok();
  if (in.stream_dirty)
    if (Status done = in.write_stream(); !done) return done;
  if (in.unsynced.empty()) return ok();
  if (in.newest == Inside::Newest::Untrusted) return in.begin_segment();
  return in.sync_newest();
}

bool Spool::needs_sync() const {
  const Inside& in = *inside_;
  return !in.segments.empty() &&
         (in.stream_dirty || !in.unsynced.empty());  // without one a stream would number nothing
}

Status Spool::Inside::sync_newest() {
  if (unsynced.empty()) return ok();
  if (Status done = files->sync(segment_name(segments.back().number)); !done) {
    newest = Newest::Untrusted;
    stream_dirty = true;  // perhaps the whole folder was removed
    return done;
  }
  accept();
  return ok();
}

void Spool::Inside::accept() {
  if (!unsynced.empty()) {
    accepted = next - 1;
    live += unsynced.size();
    unsynced.clear();
    forget_released();  // what was released before it was on disk
    mark(RecordHeader::kMark, accepted, released);
  }
  remove_empty();
}

// ---- streams ------------------------------------------------------------------------------------------------------

Status Spool::new_stream(std::uint64_t base) {
  if (base >= next() && first() != next()) return Error{"io", "a new stream would pass over records that wait"};
  return continue_stream({inside_->make_stream(), base}, base);
}

Status Spool::continue_stream(Stream stream, std::uint64_t passed) {
  Inside& in = *inside_;
  if (passed >= in.next) in.pass_over(passed);
  // The tickets that were passed over are not given again, and what has numbers in the new stream is on disk.
  if (in.newest != Inside::Newest::Open)
    if (Status done = in.begin_segment(); !done) return done;
  const Stream old = std::exchange(in.stream, std::move(stream));
  Status done = in.write_stream();
  if (!done) in.stream = old;  // the file is the old one, or will be written again
  return done;
}

// Nothing up to the ticket is here any more.
void Spool::Inside::pass_over(std::uint64_t ticket) {
  for (Segment& segment : segments) segment.first = segment.end(), segment.offsets.clear();
  gaps.clear();
  unsynced.clear();
  live = 0;
  released = accepted = ticket;
  next = ticket + 1;
  newest = Newest::Closed;
}

Status Spool::discard() {
  Inside& in = *inside_;
  in.pass_over(in.next - 1);
  in.stream = {in.make_stream(), in.next - 1};
  if (in.segments.empty() && in.stream.base == 0) {
    in.stream_dirty = true;
    return ok();
  }
  if (Status done = in.write_stream(); !done)
    return Error{done.error().code, "nothing is removed, since no new stream can be written: " + done.error().message};
  if (!in.segments.empty()) return Error{"io", segment_name(in.segments.front().number) + " cannot be removed"};
  return in.files->sync_folder();
}

// ---- figures ------------------------------------------------------------------------------------------------------

std::uint64_t Spool::accepted() const { return inside_->accepted; }
const Spool::Stream& Spool::stream() const { return inside_->stream; }
std::uint64_t Spool::first() const { return inside_->released + 1; }
std::uint64_t Spool::next() const { return inside_->next; }
std::size_t Spool::records() const {
  return inside_->live + inside_->next - 1 - std::max(inside_->accepted, inside_->released);
}

std::size_t Spool::bytes() const {
  std::uint64_t sum = 0;
  for (const Inside::Segment& segment : inside_->segments) sum += segment.size;
  return sum;
}

std::size_t Spool::used() const { return first() == next() ? 0 : bytes(); }

}  // namespace hawser::host
