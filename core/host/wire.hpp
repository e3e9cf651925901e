#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/json.hpp"
#include "core/host/source_record.hpp"

// What a stream session touches: the connection below it and the plugin above it. Both are called on the I/O thread.
namespace hawser::host {

// The data kinds of sdk/protocol.md §5, byte 0 of a binary message.
inline constexpr unsigned char kBestEffort = 0x01;
inline constexpr unsigned char kDurable = 0x02;
inline constexpr unsigned char kCompressedBit = 0x80;

// Why a connection has to end: the close code and the reason of §7, and words for the log.
struct Fault {
  std::uint16_t code = 1008;
  std::string reason = "policy";
  std::string detail;
};

inline Fault policy(const std::string& detail) { return {1008, "policy", detail}; }

inline constexpr std::size_t kNackWordsBytesMax = 512;

// The open connection, as transport::WebSocket has it.
class Wire {
 public:
  virtual ~Wire() = default;
  virtual void send_text(std::string_view text) = 0;
  virtual void send_binary(std::string_view head, std::string_view body) = 0;
  virtual void ping(std::string_view payload) = 0;
  virtual bool writable() const = 0;
};

// A durable message of the cloud on its way to the plugin; still as it was on the wire.
struct Inbound {
  std::string stream;
  std::uint64_t number = 0;
  std::string payload;
  bool compressed = false;
  std::size_t content_bytes_max = 0;
};

// What became of it. Again: neither taken nor refused, so the cloud has to send it once more.
enum class Verdict { Taken, Refused, Again };

class SessionEvents {
 public:
  virtual ~SessionEvents() = default;
  virtual void on_text(std::string_view json) = 0;
  virtual void on_best_effort(std::string payload, bool compressed) = 0;
  virtual void on_durable(Inbound message) = 0;
  // Forget the durable messages that were handed over and that the plugin has not begun: they come again. Tells the
  // number of the one that the plugin holds now, 0 for none: its verdict still counts.
  virtual std::uint64_t on_durable_reset() = 0;
  virtual void on_acked(std::uint64_t ticket) = 0;
  virtual void on_nacked(std::uint64_t ticket, const std::string& code, const std::string& message) = 0;
  // Messages that will not arrive: reasons are those of §7 for drops.
  virtual void on_dropped(const std::string& reason, std::uint64_t count, const std::string& detail) = 0;
  virtual void on_log(const std::string& message) = 0;
  // Of the spool: every ticket up to it is on stable storage; what earlier processes handed over with send_source(); and
  // which ticket comes next.
  virtual void on_accepted(std::uint64_t ticket) = 0;
  virtual void on_found(std::uint64_t ticket, const std::string& source) = 0;
  virtual void on_resumed(std::uint64_t next_ticket) = 0;
  // The plugin has the bytes of that message: ask it. Delivery::source_answer() follows, or never comes.
  virtual void on_ask_source(std::uint64_t ticket, const SourceRecord& record) = 0;
};

inline json::Object control_message(const std::string& type) {
  auto object = json::make_object();
  object->set("type", type);
  return object;
}

}  // namespace hawser::host
