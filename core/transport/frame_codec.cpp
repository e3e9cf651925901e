#include "core/transport/frame_codec.hpp"

#include <algorithm>
#include <cstring>

namespace hawser::transport {
namespace {

constexpr std::size_t kLength16 = 126;  // in the second byte: two bytes of length follow
constexpr std::size_t kLength64 = 127;  // eight bytes follow
constexpr std::size_t kReasonMax = 123;

struct CloseName {
  std::uint16_t code;
  const char* name;
};
constexpr CloseName kCloseNames[] = {
    {1000, "normal"},      {1001, "going_away"}, {1002, "framing"},         {1003, "not_text"},
    {1007, "bad_payload"}, {1008, "policy"},     {1009, "too_big"},         {1011, "server_error"},
    {1012, "restarting"},  {1013, "try_again"},  {4001, "token_withdrawn"}, {4003, "device_removed"},
    {4008, "hang_up"},     {4009, "replaced"},   {4010, "unbound"},         {4011, "drained"},
    {4012, "revoked"},
};

void put_big_endian(char* to, std::uint64_t value, std::size_t bytes) {
  for (std::size_t i = 0; i < bytes; ++i) to[i] = static_cast<char>(value >> (8 * (bytes - 1 - i)));
}

// Copies `from` masked, eight bytes at a time; `phase` is how many payload bytes went before.
void copy_masked(char* to, std::string_view from, std::uint32_t key, std::size_t phase) {
  std::array<char, 8> rotated{};
  std::array<char, 4> plain{};
  std::memcpy(plain.data(), &key, sizeof key);
  for (std::size_t i = 0; i < rotated.size(); ++i) rotated[i] = plain[(phase + i) % 4];
  std::uint64_t wide = 0;
  std::memcpy(&wide, rotated.data(), sizeof wide);
  std::size_t at = 0;
  const auto mask_eight = [&](std::size_t place) {
    std::uint64_t eight = 0;
    std::memcpy(&eight, from.data() + place, sizeof eight);
    eight ^= wide;
    std::memcpy(to + place, &eight, sizeof eight);
  };
  for (; at + 32 <= from.size(); at += 32) {  // written out: the compiler makes wide registers of it
    mask_eight(at);
    mask_eight(at + 8);
    mask_eight(at + 16);
    mask_eight(at + 24);
  }
  for (; at + 8 <= from.size(); at += 8) mask_eight(at);
  for (; at < from.size(); ++at) to[at] = static_cast<char>(from[at] ^ rotated[at % 4]);
}

}  // namespace

const char* close_name(std::uint16_t code) {
  for (const CloseName& row : kCloseNames)
    if (row.code == code) return row.name;
  return "peer_closed";
}

bool may_be_sent(std::uint16_t code) {
  if (code >= 3000 && code <= 4999) return true;
  return code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006;
}

void FrameDecoder::feed(std::string_view bytes, Sink& sink) {
  while (!bytes.empty() && !fault_ && !closed_) {
    if (in_payload_) {
      bytes.remove_prefix(take_payload(bytes, sink));
    } else {
      const auto byte = static_cast<std::uint8_t>(bytes.front());
      bytes.remove_prefix(1);
      take_header_byte(byte, sink);
    }
  }
}

void FrameDecoder::take_header_byte(std::uint8_t byte, Sink& sink) {
  if (header_size_ == 0) ++frames_begun_;
  header_[header_size_++] = byte;
  // Each byte is judged as it comes: a peer that sends nonsense is told at once.
  if (header_size_ == 1) return check_first_byte(byte);
  if (header_size_ == 2) check_second_byte(byte);
  if (fault_ || header_size_ < header_needed_) return;
  read_length();
  if (!fault_) begin_payload(sink);
}

void FrameDecoder::check_first_byte(std::uint8_t byte) {
  if (byte & 0x70) return fail(1002, "a reserved bit is set");
  const unsigned number = byte & 0x0F;
  if ((number > 2 && number < 8) || number > 10) return fail(1002, "an opcode that is not defined");
  opcode_ = static_cast<Opcode>(number);
  final_ = (byte & 0x80) != 0;
  if (is_control(opcode_) && !final_) return fail(1002, "a control frame in fragments");
  if (opcode_ == Opcode::Continuation && !in_message_) return fail(1002, "a continuation outside a message");
  if (!is_control(opcode_) && opcode_ != Opcode::Continuation && in_message_)
    return fail(1002, "a new message inside an unfinished one");
}

void FrameDecoder::check_second_byte(std::uint8_t byte) {
  if (byte & 0x80) return fail(1002, "a masked frame from the server");
  const unsigned length = byte & 0x7F;
  if (is_control(opcode_) && length > kControlMax) return fail(1002, "a control frame over 125 bytes");
  header_needed_ = 2 + (length == kLength16 ? 2U : length == kLength64 ? 8U : 0U);
}

void FrameDecoder::read_length() {
  length_ = header_[1] & 0x7F;
  if (header_needed_ == 2) return;
  const bool wide = length_ == kLength64;
  length_ = 0;
  for (std::size_t i = 2; i < header_needed_; ++i) length_ = length_ << 8 | header_[i];
  if (length_ >> 63) return fail(1002, "a length with its top bit set");
  if (length_ < (wide ? 65536U : 126U)) return fail(1002, "a length that is not in its shortest form");
}

void FrameDecoder::begin_payload(Sink& sink) {
  header_size_ = 0;
  header_needed_ = 2;
  taken_ = 0;
  if (!is_control(opcode_)) {
    if (!in_message_) {
      in_message_ = true;
      message_opcode_ = opcode_;
      message_.clear();
      fragments_ = 0;
      utf8_.reset();
    }
    if (length_ > message_bytes_max_ - message_.size()) return fail(1009, "a message over the limit");
    if (++fragments_ > fragments_max_) return fail(1009, "a message in too many fragments");
  }
  in_payload_ = true;
  if (length_ == 0) end_frame(sink);
}

std::size_t FrameDecoder::take_payload(std::string_view bytes, Sink& sink) {
  const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(length_ - taken_, bytes.size()));
  const std::string_view part = bytes.substr(0, count);
  if (is_control(opcode_)) {
    std::copy(part.begin(), part.end(), control_.begin() + static_cast<std::ptrdiff_t>(taken_));
    taken_ += count;
    if (taken_ == length_) end_frame(sink);
  } else {
    take_data(part, sink);
  }
  return count;
}

void FrameDecoder::take_data(std::string_view part, Sink& sink) {
  if (message_opcode_ == Opcode::Text && !utf8_.feed(part)) return fail(1007, "a text that is not UTF-8");
  // A message that came whole in one piece is passed on from where it lies.
  if (final_ && message_.empty() && part.size() == length_) {
    in_payload_ = false;
    return deliver(part, sink);
  }
  message_.append(part);
  taken_ += part.size();
  if (taken_ == length_) end_frame(sink);
}

void FrameDecoder::end_frame(Sink& sink) {
  in_payload_ = false;
  if (is_control(opcode_)) return end_control(sink);
  if (!final_) return;
  deliver(message_, sink);
  if (message_.capacity() > kKeptBytes) std::string().swap(message_);
}

void FrameDecoder::end_control(Sink& sink) {
  const std::string_view payload(control_.data(), static_cast<std::size_t>(length_));
  if (opcode_ == Opcode::Close) {
    check_close(payload);
    if (fault_) return;
    closed_ = true;
  }
  sink.on_control(opcode_, payload);
}

void FrameDecoder::check_close(std::string_view payload) {
  if (payload.empty()) return;
  if (payload.size() == 1) return fail(1002, "a Close with half a code");
  const auto code =
      static_cast<std::uint16_t>(static_cast<std::uint8_t>(payload[0]) << 8 | static_cast<std::uint8_t>(payload[1]));
  if (!may_be_sent(code)) return fail(1002, "a Close with a code that must not be sent");
  Utf8Validator reason;
  if (!reason.feed(payload.substr(2)) || !reason.complete()) fail(1007, "a Close whose reason is not UTF-8");
}

void FrameDecoder::deliver(std::string_view message, Sink& sink) {
  in_message_ = false;
  if (message_opcode_ == Opcode::Text && !utf8_.complete()) return fail(1007, "a text that ends inside a character");
  sink.on_message(message_opcode_, message);
}

std::size_t frame_bytes(std::size_t payload_bytes) {
  return payload_bytes + 6 + (payload_bytes < kLength16 ? 0U : payload_bytes < 65536 ? 2U : 8U);
}

void encode_frame(char* to, Opcode opcode, bool final, std::string_view head, std::string_view body,
                  std::uint32_t mask_key) {
  const std::size_t length = head.size() + body.size();
  *to++ = static_cast<char>((final ? 0x80 : 0) | static_cast<std::uint8_t>(opcode));
  if (length < kLength16) {
    *to++ = static_cast<char>(0x80 | length);
  } else {
    const std::size_t bytes = length < 65536 ? 2 : 8;
    *to++ = static_cast<char>(0x80 | (bytes == 2 ? kLength16 : kLength64));
    put_big_endian(to, length, bytes);
    to += bytes;
  }
  std::memcpy(to, &mask_key, sizeof mask_key);
  to += sizeof mask_key;
  copy_masked(to, head, mask_key, 0);
  copy_masked(to + head.size(), body, mask_key, head.size());
}

std::string close_payload(std::uint16_t code, std::string_view reason) {
  if (code == 1005) return {};
  if (reason.size() > kReasonMax) {
    reason = reason.substr(0, kReasonMax + 1);
    while (!reason.empty() && (static_cast<std::uint8_t>(reason.back()) & 0xC0) == 0x80) reason.remove_suffix(1);
    reason.remove_suffix(reason.empty() ? 0 : 1);
  }
  std::string payload(2, '\0');
  put_big_endian(payload.data(), code, 2);
  return payload += reason;
}

}  // namespace hawser::transport
