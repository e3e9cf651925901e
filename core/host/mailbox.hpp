#pragma once

#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <variant>

#include "core/host/wire.hpp"

namespace hawser::host {

// What a subconnection's I/O thread has for its plugin, in order, until the service thread takes it. Durable messages
// have a queue of their own: one is with the plugin at a time, and the next waits for its verdict while everything else
// goes on. Each function is for any thread.
class Mailbox {
 public:
  struct Opened {
    std::string about;
  };
  struct Text {
    std::string json;
  };
  struct BestEffort {
    std::string payload;
    bool compressed;
  };
  struct Acked {
    std::uint64_t ticket;
  };
  struct Accepted {
    std::uint64_t ticket;
  };
  // What an earlier process handed over with send_source(), then Resumed: before everything else.
  struct Found {
    std::uint64_t ticket;
    std::string source;
  };
  struct Resumed {
    std::uint64_t next_ticket;
  };
  // The plugin is asked for the bytes of a message: Subconnection::source_answer() has to follow. One at a time.
  struct AskSource {
    std::uint64_t ticket;
    SourceRecord record;
  };
  struct Nacked {
    std::uint64_t ticket;
    std::string code, message;
  };
  struct Writable {};
  struct Closed {
    std::string reason, detail;
    std::uint32_t retry_ms;
  };
  using Item =
      std::variant<Opened, Text, BestEffort, Acked, Nacked, Writable, Closed, Accepted, Found, Resumed, AskSource>;

  // `post` makes the service thread empty this mailbox; false: it cannot be asked now, retry() asks again.
  Mailbox(std::size_t best_effort_bytes_max, std::function<bool()> post)
      : bytes_max_(best_effort_bytes_max), post_(std::move(post)) {}

  void put(Item item);              // never refused: its number is bounded by the outbox and by the backoff
  bool put_best_effort(Item item);  // false: full
  std::uint64_t full_count();       // how often it became full
  void put_durable(Inbound message);
  // Drops the durable messages that wait. The number of the one that the plugin holds, 0 for none.
  std::uint64_t reset_durable();
  bool retry();  // true while the service thread could not be asked

  // For the service thread.
  std::optional<Item> take();
  std::optional<Inbound> take_durable();  // nothing while the plugin holds one
  // The plugin holds none; after Again none is given until reset_durable(). False: the service thread could not be
  // asked for the next one, and the I/O thread has to be woken for a retry().
  [[nodiscard]] bool settled(Verdict verdict);
  // Called when take() and take_durable() gave nothing: the next put() posts anew. False: something came meanwhile.
  bool finish();

 private:
  void post_if_idle(std::unique_lock<std::mutex>& lock);
  bool durable_is_due() const { return !durables_.empty() && held_ == 0 && !blocked_; }

  const std::size_t bytes_max_;
  const std::function<bool()> post_;
  std::mutex mutex_;  // guards all below
  std::deque<Item> items_;
  std::deque<Inbound> durables_;
  std::size_t best_effort_bytes_ = 0;
  std::uint64_t full_count_ = 0;
  bool full_ = false;  // since it refused one, until a quarter is free
  std::uint64_t held_ = 0;
  bool blocked_ = false;
  bool posted_ = false;
  bool unasked_ = false;
};

}  // namespace hawser::host
