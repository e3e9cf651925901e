#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace hawser::host {

inline constexpr std::size_t kHeaderBytes = 9;  // kind and number before each payload (sdk/protocol.md §5)
inline constexpr std::size_t kOutboxBytesDefault = 8 * 1024 * 1024;
inline constexpr std::size_t kQueueBytesDefault = 1024 * 1024;

// The durable messages that the cloud has not acknowledged, in order, in memory. A message has two numbers: its ticket,
// which the plugin got and which never changes, and its number in the present stream, which begins at 1 again when the
// cloud lost its state.
// Shared by two threads through its own lock: push() and the figures are for any thread, the rest for the I/O thread.
class Outbox {
 public:
  struct Entry {
    std::uint64_t ticket = 0;
    std::string payload;
    std::size_t wire_bytes = 0;
    bool compressed = false;
    bool refused = false;  // by the cloud; its payload is gone, its number stays until the acknowledgement passes it
  };
  enum class Push { Taken, Full, NeverFits };
  struct Popped {
    std::uint64_t count = 0, last_ticket = 0;
  };

  // What one entry costs against the limit besides its payload, so that small messages are bounded too.
  static constexpr std::size_t kEntryCost = sizeof(Entry) + kHeaderBytes;

  explicit Outbox(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  Push push(std::string payload, bool compressed, std::uint64_t* ticket);

  std::uint64_t first() const;  // the number of the oldest entry; everything below it is acknowledged
  std::uint64_t next() const;   // the number that the next entry will get
  // The entry of that number, or null. Stays valid until pop_through() or renumber(): only this thread takes away.
  const Entry* at(std::uint64_t number) const;
  Popped pop_through(std::uint64_t number);
  // Frees the payload. The ticket, or nothing when the number is not there or was refused before.
  std::optional<std::uint64_t> refuse(std::uint64_t number);
  void renumber();  // a new stream: drops what was refused, the rest begins at 1

  // True once after a push found it full and there is room again.
  bool take_writable();

  std::size_t bytes() const;     // payloads and headers
  std::size_t messages() const;  // without the refused ones
  std::uint64_t full_count() const;

 private:
  std::size_t cost() const { return bytes_ + entries_.size() * kEntryCost; }
  std::optional<std::size_t> index_of(std::uint64_t number) const;

  const std::size_t bytes_max_;
  mutable std::mutex mutex_;  // guards all below
  std::deque<Entry> entries_;
  std::uint64_t first_ = 1;
  std::uint64_t last_ticket_ = 0;
  std::size_t bytes_ = 0;
  std::size_t refused_ = 0;
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
