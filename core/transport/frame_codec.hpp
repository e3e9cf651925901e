#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/transport/limits.hpp"
#include "core/transport/utf8.hpp"

// RFC 6455 framing for the client's side, without sockets and without a clock: bytes in, events out, and back.
namespace hawser::transport {

enum class Opcode : std::uint8_t { Continuation = 0, Text = 1, Binary = 2, Close = 8, Ping = 9, Pong = 10 };

constexpr bool is_control(Opcode opcode) { return static_cast<std::uint8_t>(opcode) >= 8; }

// Why received bytes cannot be accepted: the close code to send, and which rule they break.
struct Fault {
  std::uint16_t code;
  const char* words;  // a literal
};

// The name of a close code in sdk/protocol.md §7; "peer_closed" for codes that are not listed there.
const char* close_name(std::uint16_t code);

// Whether a Close frame may carry this code (RFC 6455 §7.4, and the registry as it stands).
bool may_be_sent(std::uint16_t code);

// What a server sends. Owned by one connection; one thread.
class FrameDecoder {
 public:
  // Told while feed() runs; the data is borrowed for the call. Must not feed the same decoder.
  class Sink {
   public:
    virtual ~Sink() = default;
    virtual void on_message(Opcode opcode, std::string_view data) = 0;     // Text or Binary, whole
    virtual void on_control(Opcode opcode, std::string_view payload) = 0;  // Close, Ping or Pong, checked
  };

  explicit FrameDecoder(std::size_t message_bytes_max, unsigned fragments_max = kFragmentsMax)
      : message_bytes_max_(message_bytes_max), fragments_max_(fragments_max) {}

  // Takes bytes as they came, cut anywhere. After a fault or a Close everything is ignored.
  void feed(std::string_view bytes, Sink& sink);

  const std::optional<Fault>& fault() const { return fault_; }
  bool closed() const { return closed_; }

  // Frames of which at least one byte came, and whether the last of them is incomplete: for the limit on its time.
  std::uint64_t frames_begun() const { return frames_begun_; }
  bool inside_frame() const { return header_size_ > 0 || in_payload_; }

 private:
  static constexpr std::size_t kHeaderMax = 10;  // a masked header, which would be longer, is refused before
  static constexpr std::size_t kControlMax = 125;
  static constexpr std::size_t kKeptBytes = 128 * 1024;  // a larger message buffer is given back after its message

  void take_header_byte(std::uint8_t byte, Sink& sink);
  void check_first_byte(std::uint8_t byte);
  void check_second_byte(std::uint8_t byte);
  void read_length();
  void begin_payload(Sink& sink);
  std::size_t take_payload(std::string_view bytes, Sink& sink);
  void take_data(std::string_view part, Sink& sink);
  void end_frame(Sink& sink);
  void end_control(Sink& sink);
  void check_close(std::string_view payload);
  void deliver(std::string_view message, Sink& sink);
  void fail(std::uint16_t code, const char* words) { fault_ = Fault{code, words}; }

  const std::size_t message_bytes_max_;
  const unsigned fragments_max_;

  // The frame that is being read.
  std::array<std::uint8_t, kHeaderMax> header_{};
  std::size_t header_size_ = 0;  // bytes of it that came
  std::size_t header_needed_ = 2;
  bool in_payload_ = false;
  Opcode opcode_ = Opcode::Text;
  bool final_ = false;
  std::uint64_t length_ = 0;  // as declared; nothing of that size is ever allocated
  std::uint64_t taken_ = 0;
  std::array<char, kControlMax> control_{};
  std::uint64_t frames_begun_ = 0;

  // The message that is being gathered.
  bool in_message_ = false;
  Opcode message_opcode_ = Opcode::Text;
  std::string message_;
  unsigned fragments_ = 0;
  Utf8Validator utf8_;

  std::optional<Fault> fault_;
  bool closed_ = false;
};

// The bytes of a masked frame with `payload_bytes` of payload.
std::size_t frame_bytes(std::size_t payload_bytes);

// Writes one masked frame whose payload is `head` and then `body` to `to`, which has room for frame_bytes() of them.
void encode_frame(char* to, Opcode opcode, bool final, std::string_view head, std::string_view body,
                  std::uint32_t mask_key);

// The payload of a Close frame. A reason over 123 bytes is cut between characters. Code 1005 gives an empty payload.
std::string close_payload(std::uint16_t code, std::string_view reason);

}  // namespace hawser::transport
