#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "core/base/json.hpp"

namespace hawser::host {

inline constexpr std::size_t kLogQueueMax = 256;      // log lines that wait for the control thread
inline constexpr std::size_t kMessageQueueMax = 256;  // other messages
inline constexpr std::size_t kLogMessageBytesMax = 4096;
inline constexpr std::size_t kLogFieldsMax = 16;
inline constexpr std::size_t kLogFieldBytesMax = 256;

inline json::Object message_of(const std::string& type) {
  auto message = json::make_object();
  message->set("type", type);
  return message;
}

// What the host's threads have to say to the core, until the control thread takes it. Nobody waits: a log line over the
// limit is dropped and counted, a status replaces an older one that still waits, and for the rest the caller is told.
// Every function is for any thread.
class CoreLink {
 public:
  using Fields = std::vector<std::pair<std::string, std::string>>;

  // `wake` makes the control thread take() all there is; it is called on any thread, and not again before take() has
  // found nothing. Where it cannot (false, or no memory) the next one who has something to say calls it again.
  explicit CoreLink(std::function<bool()> wake) : wake_(std::move(wake)) {}

  bool send(json::Object message);  // false: full
  // Of messages with one key only the newest waits, at the place of the one that it replaces.
  void send_newest(const std::string& key, json::Object message);
  // Text and fields may be anything: they are made printable and cut.
  void log(const std::string& level, std::string_view message, const Fields& fields = {});
  void event(const std::string& kind, const std::string& service, const std::string& reason, const std::string& detail);

  // The next message for the channel, or null. Log lines come last, so that they never delay anything.
  json::Object take();

 private:
  void wake();

  const std::function<bool()> wake_;
  std::atomic<bool> woken_ = false;
  std::mutex mutex_;                                           // guards all below
  std::deque<std::pair<std::string, json::Object>> messages_;  // with their key, which may be empty
  std::deque<json::Object> logs_;
  std::uint64_t logs_dropped_ = 0;
};

}  // namespace hawser::host
