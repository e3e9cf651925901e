#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"

namespace hawser::host {

inline constexpr std::size_t kSegmentBytes = 1024 * 1024;              // then the next one begins
inline constexpr std::size_t kSpoolBytesDefault = 64 * 1024 * 1024;    // of one subconnection, on disk
inline constexpr std::size_t kSpoolRecordsMax = 256 * 1024;            // each costs an entry of the index in memory
inline constexpr std::size_t kSpoolRecordBytesMax = 32 * 1024 * 1024;  // a longer one on disk is damage

// What a spool does to the outside, so that a test can cut the power: paths are names within the spool's own folder.
// Every function is one system call or a loop over one, and tells the errno in the Error's words. Nothing is made before
// the first create().
class SpoolFiles {
 public:
  virtual ~SpoolFiles() = default;
  virtual Result<std::vector<std::string>> list() = 0;
  virtual Result<std::string> read(const std::string& name, std::uint64_t offset,
                                   std::size_t bytes) = 0;  // may be short
  virtual Result<std::uint64_t> size(const std::string& name) = 0;
  virtual Status create(const std::string& name) = 0;  // empty; fails when it is there
  virtual Status append(const std::string& name, std::string_view bytes) = 0;
  virtual Status cut(const std::string& name, std::uint64_t bytes) = 0;  // ftruncate
  virtual Status sync(const std::string& name) = 0;                      // fdatasync
  virtual Status sync_folder() = 0;
  virtual Status rename(const std::string& from, const std::string& to) = 0;
  virtual Status remove(const std::string& name) = 0;
  // Names this boot of the machine: what was written in it and not synced is there after a kill. Empty: not known.
  virtual std::string boot() { return {}; }
};
// In `folder`, made with mode 0700 by the first create() when it is missing, also when somebody removed it. An Error with
// the path and the fix where it belongs to another user or is open to others. SIGXFSZ is ignored: EFBIG as ENOSPC.
Result<std::unique_ptr<SpoolFiles>> spool_folder(const std::filesystem::path& folder);

// The durable messages of one subconnection on disk: append-only segments, each record with length, CRC32C and ticket. A
// ticket is given once for the life of the folder and never again; tickets are consecutive. The number of a record in a
// stream is its ticket minus the stream's base; what is missing in between is told to the cloud as `skipped`.
//
// A record counts as accepted only after sync(). Whatever lies in the folder, open() succeeds: a torn tail is cut, a
// damaged record or segment is set aside and counted, and the report says so in words. After a failed fsync the segment
// is never trusted again: its records are written anew in another one. Where the newest segment cannot be read at all, a
// new stream begins, since nobody knows which numbers were sent.
//
// Owned by and used on one I/O thread, which alone waits for the disk.
class Spool {
 public:
  enum class Kind : std::uint8_t { Payload = 1, Compressed = 2, Source = 3 };
  struct Record {
    std::uint64_t ticket = 0;
    Kind kind = Kind::Payload;
    std::string bytes;
  };
  struct Stream {
    std::string id;          // UUID
    std::uint64_t base = 0;  // ticket of number 0
  };
  // Tickets [from, to] that are lost: dropped at the limit, or damaged on disk.
  struct Gap {
    std::uint64_t from = 0, to = 0;
    std::string reason;  // of sdk/protocol.md §7
  };
  struct Recovery {
    std::uint64_t records = 0, torn_bytes = 0, damaged_records = 0, damaged_segments = 0, missing_segments = 0,
                  unknown_segments = 0;  // of a later version: kept under another name
    std::vector<std::uint64_t> sources;  // the tickets of Kind::Source
    std::vector<std::string> words;      // one sentence for each thing that was not as it should be
  };

  // `relaxed`: numbers are sent before they are on disk. When the power was cut under such a spool (another boot of the
  // machine, and it was not closed in order), or its end is torn, a new stream begins at open().
  static Spool open(std::unique_ptr<SpoolFiles> files, std::size_t bytes_max, bool relaxed,
                    std::function<std::string()> make_stream, Recovery& recovery);

  // Writes; waits for stable storage only where a segment begins. "full" at a limit, "too_big" over kSpoolRecordBytesMax,
  // "io" when the disk refuses: then nothing was taken.
  Result<std::uint64_t> append(Kind kind, std::string_view bytes);
  // Everything appended is on stable storage when it returns ok, and accepted() tells up to which ticket.
  Status sync();
  bool needs_sync() const;  // it would do something
  std::uint64_t accepted() const;

  Result<Record> read(std::uint64_t ticket);   // "gap" with its reason, "io", "damaged" (then it is a gap from now on)
  void release_through(std::uint64_t ticket);  // acknowledged; whole segments are removed
  std::vector<Gap> drop_oldest(std::size_t bytes);  // to make room; what was dropped
  // What is lost from `ticket` on, when it is; nothing when it can be read.
  std::optional<Gap> gap(std::uint64_t ticket) const;
  // A base at or above next() passes the tickets up to it over. On stable storage when it returns ok; else the old
  // stream goes on.
  Status new_stream(std::uint64_t base);
  // The same with a stream that was begun without this spool, and everything up to `passed` acknowledged.
  Status continue_stream(Stream stream, std::uint64_t passed);
  // Everything, and begins a new stream; unbound. When that cannot be written, no file is removed: the records are gone for
  // this process, and from the disk once the next append() or sync() could write the stream.
  Status discard();

  const Stream& stream() const;
  std::uint64_t first() const;  // the oldest ticket that is not released; == next() when there is none
  std::uint64_t next() const;
  std::size_t bytes() const;  // on disk
  std::size_t used() const;   // of them, what counts against the limit: none where all is released
  std::size_t records() const;

  Spool(Spool&&) noexcept;
  Spool& operator=(Spool&&) noexcept;
  ~Spool();

 private:
  struct Inside;
  struct Recoverer;
  explicit Spool(std::unique_ptr<Inside> inside);
  std::unique_ptr<Inside> inside_;
};

}  // namespace hawser::host
