#pragma once

#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>

namespace hawser::host {

inline constexpr std::size_t kHeaderBytes = 9;  // kind and number before each payload (sdk/protocol.md §5)
inline constexpr std::size_t kOutboxBytesDefault = 8 * 1024 * 1024;
inline constexpr std::size_t kQueueBytesDefault = 1024 * 1024;

// The durable messages on their way into the spool, in order, in memory; where there is no spool, until the cloud has
// acknowledged them. Each gets its ticket here, which the plugin knows and which never changes (core/host/spool.hpp).
// Shared by two threads through its own lock: push() and the figures are for any thread, the rest for the I/O thread.
class Outbox {
 public:
  struct Entry {
    std::uint64_t ticket = 0;
    std::string payload;
    bool compressed = false;
    std::optional<std::string> source;  // of send_source(): the record for the spool, instead of the payload
  };
  enum class Push { Taken, Full, NeverFits };

  // What one entry costs against the limit besides its payload, so that small messages are bounded too.
  static constexpr std::size_t kEntryCost = sizeof(Entry) + kHeaderBytes;

  // `spool_bytes`, `spool_records`: what the spool may hold together with what waits here; `drop_oldest`: it makes room.
  explicit Outbox(std::size_t bytes_max, std::size_t spool_bytes = SIZE_MAX, bool drop_oldest = false)
      : bytes_max_(bytes_max), spool_bytes_max_(spool_bytes), drop_oldest_(drop_oldest) {}

  // Full until open().
  Push push(std::string payload, bool compressed, std::uint64_t* ticket,
            std::optional<std::string> source = std::nullopt);

  void open(std::uint64_t next_ticket);  // when the spool has told it
  void spool_holds(std::size_t bytes, std::size_t records);

  std::uint64_t first() const;  // the ticket of the oldest entry; next() when there is none
  std::uint64_t next() const;   // the ticket that the next entry will get
  // The entry of that ticket, or null. Stays valid until pop_through() or discard(): only this thread takes away.
  const Entry* at(std::uint64_t ticket) const;
  void pop_through(std::uint64_t ticket);
  void discard();

  // True once after a push found it full and there is room again.
  bool take_writable();

  std::size_t bytes() const;  // payloads and headers
  std::size_t messages() const;
  std::uint64_t full_count() const;

 private:
  std::size_t cost() const { return bytes_ + entries_.size() * kEntryCost; }
  bool spool_takes(std::size_t more) const;
  static std::size_t spool_cost(const Entry& entry);

  const std::size_t bytes_max_, spool_bytes_max_;
  const bool drop_oldest_;
  mutable std::mutex mutex_;  // guards all below
  std::deque<Entry> entries_;
  std::uint64_t next_ticket_ = 0;  // 0: not open
  std::size_t bytes_ = 0, waiting_for_spool_ = 0;
  std::size_t spool_bytes_ = 0, spool_records_ = 0;
  std::uint64_t full_count_ = 0;
  bool starved_ = false;
};

// Best-effort messages that wait for the socket. push() for any thread, pop() and clear() for the I/O thread.
class BestEffortQueue {
 public:
  struct Item {
    enum class Kind { Text, Plain, Compressed } kind = Kind::Plain;
    std::string payload;
  };

  explicit BestEffortQueue(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  bool push(Item item);  // false: full, and counted
  std::optional<Item> pop();
  std::uint64_t clear();  // how many were left
  bool take_writable();   // as Outbox

  std::size_t bytes() const;
  std::size_t messages() const;
  std::uint64_t full_count() const;
  std::uint64_t refused_count() const;

 private:
  const std::size_t bytes_max_;
  mutable std::mutex mutex_;  // guards all below
  std::deque<Item> items_;
  std::size_t cost_ = 0;
  std::uint64_t full_count_ = 0, refused_count_ = 0;
  bool starved_ = false;
};

}  // namespace hawser::host
