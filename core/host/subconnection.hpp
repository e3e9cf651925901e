#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <thread>

#include "core/host/compression.hpp"
#include "core/host/core_link.hpp"
#include "core/host/delivery.hpp"
#include "core/host/mailbox.hpp"
#include "core/host/pace.hpp"
#include "core/host/switchboard.hpp"
#include "core/transport/websocket.hpp"

namespace hawser::host {

struct Grant;

inline constexpr std::size_t kCommandsMax = 1024;                 // words and verdicts that wait for the I/O thread
inline constexpr std::size_t kMessageBytesDefault = 1024 * 1024;  // until the first grant names another

// How a subconnection reaches the cloud: one dial and upgrade. Owned by and used on the I/O thread.
class Gateway {
 public:
  virtual ~Gateway() = default;
  virtual Result<transport::Upgrade> open(const Grant& grant, TimePoint deadline) = 0;
};
// Makes the gateway on the I/O thread; every wait of it goes through the waker.
using GatewayMaker = std::function<std::unique_ptr<Gateway>(Waker&)>;

struct SubconnectionSettings {
  std::string plugin, version, service;
  std::string protocol;  // empty: whatever the grant says
  std::filesystem::path state_dir;
  std::size_t outbox_bytes = kOutboxBytesDefault;
  std::size_t queue_bytes = kQueueBytesDefault;
  std::size_t spool_bytes = kSpoolBytesDefault;
  bool relaxed = false, drop_oldest = false;  // of the spool
  std::shared_ptr<Pace> pace{};               // of the whole plugin; may be none

  std::filesystem::path spool_folder() const { return state_dir / (".hawser-spool-" + service); }
};

struct VerdictWord {
  std::string stream;
  std::uint64_t number = 0;
  Verdict verdict = Verdict::Taken;
  std::string why;
};

// What the threads of one subconnection share: plugin's side in, I/O thread out, and the way back. Each member guards
// itself.
struct SubconnectionShared {
  SubconnectionShared(SubconnectionSettings with, CoreLink& core, std::function<bool()> post)
      : settings(std::move(with)),
        link(core),
        outbox(settings.outbox_bytes, settings.spool_bytes, settings.drop_oldest),
        queue(settings.queue_bytes),
        mailbox(settings.queue_bytes, std::move(post)) {}

  const SubconnectionSettings settings;
  CoreLink& link;
  Outbox outbox;
  BestEffortQueue queue;
  Mailbox mailbox;
  Waker waker;
  std::atomic<bool> ready{false};
  std::atomic<bool> wake_pending{false};
  std::atomic<std::size_t> message_bytes_max{kMessageBytesDefault};
  std::atomic<std::uint64_t> bad_best_effort{0};  // inbound ones whose zstd frame was broken

  std::mutex mutex;  // guards all below
  std::deque<CoreWord> words;
  std::deque<VerdictWord> verdicts;
  std::deque<SourceAnswer> answers;  // one at a time is asked for
  std::uint64_t heard_ticket = 0;    // the plugin has heard that the cloud has all up to it
};

// One subconnection of a plugin. Made on the service thread and never destroyed before the process ends or finish() has
// come; start() begins its I/O thread. What the plugin calls is here, what the network does is in SubconnectionLoop.
class Subconnection {
 public:
  enum class Sent { Ok, Full, Closed, TooLong };

  // `post`: asks the service thread to empty the mailbox, any thread. `finished`: called on the I/O thread at its end,
  // with what went wrong, or with nothing after a Stop word.
  Subconnection(SubconnectionSettings settings, CoreLink& link, std::function<bool()> post, GatewayMaker gateway,
                std::function<void(const std::string& problem)> finished);
  ~Subconnection();  // waits for the I/O thread, which ends after a Stop word

  void start();

  // Any thread; none of them waits.
  Sent send_durable(std::string_view data, bool compress, std::uint64_t* ticket);
  Sent send_source(std::string_view source, std::string_view data, bool compress, std::uint64_t* ticket);
  Sent send(std::string_view data, bool compress);
  Sent send_text(std::string_view json);
  void hear(const CoreWord& word);
  void verdict(VerdictWord word);
  // What the plugin wrote when it was asked; nothing: it has none, `why`. Compares it with what was handed over.
  void source_answer(const Mailbox::AskSource& ask, std::optional<std::string_view> content, const std::string& why);
  void heard_acked(std::uint64_t ticket);  // the plugin's acked() has returned
  void notify();  // wakes the I/O thread

  Mailbox& mailbox() { return shared_.mailbox; }
  const std::string& service() const { return shared_.settings.service; }
  std::size_t content_bytes_max() const { return shared_.message_bytes_max.load() * kContentFactor; }
  void count_bad_best_effort() { ++shared_.bad_best_effort; }

 private:
  Sent queue(BestEffortQueue::Item item);
  Sent push(std::string_view data, bool compress, std::optional<std::string> source, std::uint64_t* ticket);

  SubconnectionShared shared_;
  Compressor compressor_;
  GatewayMaker gateway_;
  std::function<void(const std::string&)> finished_;
  std::thread thread_;
};

}  // namespace hawser::host
