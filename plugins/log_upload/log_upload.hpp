#pragma once

#include <deque>
#include <hawser/plugin.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config.hpp"
#include "file.hpp"
#include "file_watch.hpp"
#include "limits.hpp"
#include "positions.hpp"

namespace hawser::log_upload {

// The plugin hawser.log_upload. Follows files by name; through rotation it reads the old file to its end, then the new
// one. The files themselves are the spool: of a message the host keeps only a note on disk, and for a resend after a
// restart it asks for the bytes again. A position counts as moved when the cloud acknowledged it. When the outbox is
// full or enough is in flight, reading pauses.
//
// No line is lost and none sent under two numbers, whenever the process is killed: the positions are written before
// acked() returns, and every message that is not in them is told by found(), before anything is read.
//
// Split over log_upload.cpp (life and cloud), find_files.cpp (which files there are), send.cpp (from file to message,
// and the same once more).
class LogUpload {
 public:
  static constexpr const char* kId = "hawser.log_upload";
  static constexpr const char* kVersion = "0.1.0";

  explicit LogUpload(sdk::Context& host) : host_(host) {}

  sdk::ConfigAnswer configure(std::string_view json, bool apply);
  void start();
  void stop(sdk::Milliseconds deadline);

 private:
  using FilePtr = std::shared_ptr<File>;
  struct Match {
    std::string path;
    const Source* source;
  };
  struct InFlight {
    std::uint64_t number;
    FilePtr file;
    std::string file_id;  // the file may have been truncated since
    std::uint64_t offset, end_offset;
    std::size_t bytes;
  };
  struct PullAnswer {
    std::uint64_t number;  // of the answer
    std::uint64_t asked;   // of the pull
  };

  // ---- log_upload.cpp
  void connect();
  void found(std::uint64_t number, std::string_view source);
  void begin();
  void opened(std::string_view about);
  sdk::Verdict from_cloud(const sdk::DurableMessage& message);
  void settle_pull(std::uint64_t number);
  void acked(std::uint64_t number);
  void nacked(std::uint64_t number, std::string_view code, std::string_view message);
  void something_changed();
  void look();
  void save();
  void report_health();
  void stopped_if_empty();

  // ---- find_files.cpp
  void take_up_positions();
  bool take_up(const FilePtr& file);
  void find_files();
  std::vector<Match> matches();
  void take_match(const Match& match, std::vector<FilePtr>& seen);
  FilePtr known(const Inode& inode) const;
  FilePtr known_id(std::string_view file_id) const;
  void lost_its_name(File& file);
  void follow(const FilePtr& file);
  void wait_until_quiet(const FilePtr& file);
  void forget_done();
  void forget(File& file);

  // ---- send.cpp
  void send_all();
  bool has_room() const;
  bool may_begin(File& file);
  void restart_if_truncated(File& file);
  std::size_t send_some(const FilePtr& file);
  bool send_chunk(const FilePtr& file, std::size_t have);
  std::optional<std::string> bytes_again(std::string_view source) const;

  sdk::Context& host_;
  Sources sources_;
  bool first_start_ = false;
  std::optional<Positions> positions_;
  std::optional<FileWatch> watch_;
  sdk::Subconnection* cloud_ = nullptr;
  std::vector<FilePtr> files_;
  std::deque<InFlight> in_flight_;
  std::size_t in_flight_bytes_ = 0;
  std::optional<PullAnswer> pull_answer_;
  std::size_t chunk_bytes_ = 0;  // 0: the cloud has not been there yet
  bool outbox_full_ = false, stopping_ = false, stopped_ = false, too_many_said_ = false;
  bool begun_ = false, flush_waits_ = false, more_posted_ = false;
  std::size_t next_file_ = 0;  // where the next turn begins, so that each file gets its share
  std::string buffer_;         // room for a header, then the chunk
};

}  // namespace hawser::log_upload
