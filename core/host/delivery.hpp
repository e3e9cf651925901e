#pragma once

#include <filesystem>
#include <map>
#include <optional>

#include "core/base/waker.hpp"
#include "core/host/outbox.hpp"
#include "core/host/source_record.hpp"
#include "core/host/spool.hpp"
#include "core/host/wire.hpp"

namespace hawser::host {

inline constexpr std::chrono::seconds kDiskRetry{10};    // after the disk refused
inline constexpr std::chrono::seconds kRelaxedSync{1};   // between two fsyncs of a relaxed spool, or one segment

// A message as the sender sends it, or why it does not.
struct Outgoing {
  enum class Kind { Message, Lost, Later } kind = Kind::Later;
  std::string payload;
  bool compressed = false;
  std::uint64_t to = 0;  // of Lost: the last ticket that is
  std::string reason;
};

// The durable messages of one subconnection from the outbox through the spool to the sender, by ticket, and the stream
// in which they are numbered: number = ticket - base. Only what is on stable storage is sent, except in a relaxed spool,
// and when the disk refuses while nothing on it waits: then a new stream goes on in memory, until the disk is back.
//
// Owned by and used on the I/O thread, which waits here for the disk, and alone for this subconnection's.
class Delivery {
 public:
  struct Settings {
    std::filesystem::path folder;  // empty: no spool, all in memory
    std::size_t bytes_max = kSpoolBytesDefault;
    bool relaxed = false, drop_oldest = false;
  };

  Delivery(Settings settings, Outbox& outbox, SessionEvents& events, std::function<std::string()> make_stream);

  // Opens the spool, takes what waits in the outbox, syncs: one fsync for all of it, and those of segments that begin.
  void turn(TimePoint now);
  TimePoint next_due() const;  // when turn() has something to do although nothing came

  const std::string& stream() const;
  std::uint64_t base() const;
  std::uint64_t acked() const { return acked_; }
  std::uint64_t end() const;  // the first ticket that may not be sent yet
  // Up to which ticket earlier processes may have sent in this stream.
  std::uint64_t recovered() const { return recovered_; }

  Outgoing read(std::uint64_t ticket);
  void sent(std::uint64_t ticket);  // its bytes need no longer be at hand
  void acknowledge(std::uint64_t ticket);
  void release(std::uint64_t ticket);  // the plugin has heard of it too: it leaves the spool
  // False when it is acknowledged already or was refused before.
  bool refuse(std::uint64_t ticket, const std::string& reason);
  void new_stream();        // numbers what is left from 1 on
  std::uint64_t discard();  // everything, and a new stream; how many waited
  void source_answer(SourceAnswer answer);

  std::size_t spooled_bytes() const { return spool_ ? spool_->used() : 0; }
  std::uint64_t waiting() const;  // messages that are not acknowledged
  std::size_t spooled_messages() const { return spool_ ? spool_->records() : 0; }
  const std::string& problem() const { return problem_; }  // "spool: ..."; empty when all is well

 private:
  void open(TimePoint now);
  void move_in(TimePoint now);
  bool make_room(std::size_t bytes);
  void sync(TimePoint now);
  void tell_accepted();
  void disk_refused(const Error& why, TimePoint now);
  void go_on_in_memory();
  void return_to_disk(TimePoint now);
  Outgoing read_source(std::uint64_t ticket, const std::string& record);
  Outgoing give_up(std::uint64_t ticket, const std::string& why);

  const Settings settings_;
  Outbox& outbox_;
  SessionEvents& events_;
  const std::function<std::string()> make_stream_;

  std::optional<Spool> spool_;
  bool memory_only_ = false;
  Spool::Stream memory_stream_;  // while there is no spool, or only memory
  std::uint64_t acked_ = 0, recovered_ = 0, told_accepted_ = 0;
  std::map<std::uint64_t, std::string> refused_;  // ticket: reason
  TimePoint retry_ = TimePoint::max(), sync_due_ = TimePoint::max();
  std::string problem_, why_;

  std::map<std::uint64_t, Outgoing> fresh_;  // of send_source(), not sent yet and still at hand
  std::size_t fresh_bytes_ = 0;
  std::uint64_t asked_ = 0;  // the ticket whose bytes the plugin was asked for
};

}  // namespace hawser::host
