#pragma once

#include <set>

#include "core/host/spool_inside.hpp"

// What the files of a spool's folder hold, before anything is made of it.
namespace hawser::host {

// What the headers and marks of all segments say about the tickets.
struct SpoolTold {
  std::uint64_t accepted = 0, released = 0;
  std::uint64_t unknown_last = 0;                                // the highest ticket in segments of a later version
  std::vector<std::pair<std::uint64_t, std::uint64_t>> dropped;  // from, to
  std::set<std::uint64_t> too_big;
};

struct SpoolScan {
  struct Found {
    std::uint64_t ticket = 0;
    Spool::Kind kind = Spool::Kind::Payload;
    std::uint32_t offset = 0, end = 0;
  };
  std::uint64_t number = 0, size = 0;
  bool has_header = false, unknown = false;
  std::uint64_t first = 0;     // the ticket that it begins with; everything before it was accepted then
  std::vector<Found> records;  // whole ones, in order of tickets
  std::uint64_t good_end = 0;  // behind it nothing can be used
};

// Reads the folder; what is of no use is put aside or removed, counted, and said in words.
class SpoolReader {
 public:
  SpoolReader(SpoolFiles& files, Spool::Recovery& recovery);

  void say(const std::string& words);  // up to a limit; the counts go on
  std::optional<spool_format::StreamFile> stream();
  std::vector<SpoolScan> segments(SpoolTold& told);  // in order of their numbers
  std::uint64_t next_segment() const { return next_segment_; }
  bool lost_newest() const { return lost_newest_; }  // what it held nobody knows

 private:
  std::optional<SpoolScan> segment(std::uint64_t number, SpoolTold& told);
  Result<std::string> whole(const std::string& name, std::size_t most);
  void put_aside(const std::string& name, const char* suffix, const std::string& why);
  void forget_old();

  SpoolFiles& files_;
  Spool::Recovery& recovery_;
  std::vector<std::string> names_;
  std::uint64_t next_segment_ = 1;
  bool lost_newest_ = false;
};

}  // namespace hawser::host
