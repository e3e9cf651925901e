#pragma once

#include <deque>
#include <optional>

#include "core/host/spool.hpp"
#include "core/host/spool_format.hpp"

// What the files of the spool share; for them only.
//
// A segment gets its name when its header and what it begins with are on stable storage, and it begins behind everything
// that is accepted then. So what an earlier segment holds from there on counts no more, and a tail that is torn can only
// be the newest segment's.
namespace hawser::host {

// The longest segment that is read: one record more than its share, and notes.
inline constexpr std::size_t kSegmentFileMax = kSegmentBytes + kSpoolRecordBytesMax + 1024 * 1024;

struct Spool::Inside {
  struct Segment {
    std::uint64_t number = 0;
    std::uint64_t size = 0;
    std::uint64_t first = 0;            // the ticket of the first offset
    std::deque<std::uint32_t> offsets;  // of consecutive tickets, the released ones taken off; 0: that one is damaged
    std::uint64_t end() const { return first + offsets.size(); }
  };
  // Not on stable storage yet, so it is kept here too: what a failed fsync leaves in the file is not to be trusted.
  struct Unsynced {
    Kind kind = Kind::Payload;
    std::string bytes;
  };
  // The newest segment takes more records; or no more, but what it holds is sound; or its fsync failed: a kernel forgets
  // that the page it failed to write is dirty, so a second fsync would say yes to nothing.
  enum class Newest { Open, Closed, Untrusted };

  std::unique_ptr<SpoolFiles> files;
  std::size_t bytes_max = 0, segment_bytes = 0;
  bool relaxed = false;
  std::function<std::string()> make_stream;

  Stream stream;
  std::string relaxed_since;     // as in the stream file
  bool stream_dirty = false;     // the file is not the stream's, or perhaps not: it is written before anything else
  std::deque<Segment> segments;  // in order of numbers and of tickets
  Newest newest = Newest::Closed;
  std::uint64_t next_segment = 1;
  std::vector<Gap> gaps;          // in order; what is neither here nor in a segment is lost too, as damaged
  std::deque<Unsynced> unsynced;  // the tickets from accepted + 1 on
  std::uint64_t accepted = 0, released = 0, next = 1;
  std::size_t live = 0;  // records that can be read, without the unsynced ones

  // spool.cpp: what is written
  Status stage(const std::string& name, std::string_view bytes);
  Status publish(const std::string& name);
  Status begin_segment();
  Status write(Kind kind, std::string_view bytes);
  Status sync_newest();
  void accept();
  Status write_stream();
  std::string boot() const;
  void mark(std::uint8_t kind, std::uint64_t ticket, std::uint64_t other);
  void take_back(Segment& segment);
  void pass_over(std::uint64_t ticket);

  // spool_index.cpp: what is read and taken away
  Result<Record> read_indexed(std::uint64_t ticket);
  Segment* segment_of(std::uint64_t ticket);
  Error damaged(Segment& segment, std::uint64_t ticket, const std::string& why);
  Error lost_segment(Segment& segment);
  Result<std::string> read_whole(const std::string& name, std::uint64_t offset, std::size_t bytes);
  std::uint64_t live_after(std::uint64_t ticket) const;
  void add_gap(Gap gap);
  void forget_released();
  void remove_empty();

  void recover(Recovery& recovery);  // spool_recovery.cpp
};

}  // namespace hawser::host
