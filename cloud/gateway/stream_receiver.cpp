#include "cloud/gateway/stream_receiver.hpp"

#include <zstd.h>

#include <memory>

namespace hawser::cloud {
namespace {

constexpr std::size_t kHeaderBytes = 9;
constexpr int kWindowLogMax = 23;                              // 8 MiB
constexpr std::string_view kZstdMagic("\x28\xB5\x2F\xFD", 4);  // refuses skippable and legacy frames

struct Free {
  void operator()(ZSTD_DCtx* context) const { ZSTD_freeDCtx(context); }
};

// The dictionary's id from the frame header (RFC 8878 §3.1.1.1); 0 when none is named.
bool names_dictionary(std::string_view frame) { return ZSTD_getDictID_fromFrame(frame.data(), frame.size()) != 0; }

}  // namespace

StreamReceiver::Verdict StreamReceiver::message(Seq seq) {
  if (seq <= received_) return Verdict::Duplicate;
  if (seq != received_ + 1) return Verdict::Gap;
  received_ = seq;
  return Verdict::Store;
}

StreamReceiver::Verdict StreamReceiver::skipped(Seq& from, Seq to) {
  if (to <= received_) return Verdict::Duplicate;
  if (from > received_ + 1) return Verdict::Gap;
  from = received_ + 1;
  received_ = to;
  return Verdict::Store;
}

Result<DataMessage> parse_data(std::string_view bytes) {
  if (bytes.size() < kHeaderBytes) return Error{"policy", "a binary message shorter than its header"};
  const auto kind = static_cast<unsigned char>(bytes[0]);
  DataMessage message;
  message.compressed = (kind & 0x80) != 0;
  message.durable = (kind & 0x7f) == 0x02;
  if (!message.durable && (kind & 0x7f) != 0x01) return Error{"policy", "an unknown kind of binary message"};
  std::uint64_t seq = 0;
  for (std::size_t i = 1; i < kHeaderBytes; ++i) seq = (seq << 8) | static_cast<unsigned char>(bytes[i]);
  constexpr std::uint64_t kSeqMax = (std::uint64_t{1} << 53) - 1;
  if (seq > kSeqMax || (seq == 0) == message.durable) return Error{"policy", "a number that cannot be"};
  message.seq = static_cast<Seq>(seq);
  message.payload = bytes.substr(kHeaderBytes);
  return message;
}

Result<std::string> decompress(std::string_view frame, std::size_t most) {
  const auto bad = [](const char* why) { return Error{"bad_payload", std::string("zstd: ") + why}; };
  if (!frame.starts_with(kZstdMagic)) return bad("not a frame");
  if (names_dictionary(frame)) return bad("a dictionary is named");
  const std::unique_ptr<ZSTD_DCtx, Free> context(ZSTD_createDCtx());
  if (!context || ZSTD_isError(ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, kWindowLogMax)))
    return bad("out of memory");
  std::string content;
  ZSTD_inBuffer in{frame.data(), frame.size(), 0};
  std::string piece(ZSTD_DStreamOutSize(), '\0');
  for (;;) {
    ZSTD_outBuffer out{piece.data(), piece.size(), 0};
    const std::size_t left = ZSTD_decompressStream(context.get(), &out, &in);
    if (ZSTD_isError(left)) return bad(ZSTD_getErrorName(left));
    if (content.size() + out.pos > most) return bad("the content is larger than allowed");
    content.append(piece.data(), out.pos);
    if (left == 0) break;
    if (in.pos == in.size && out.pos < out.size) return bad("the frame is cut");
  }
  if (in.pos != in.size) return bad("something follows the frame");
  return content;
}

}  // namespace hawser::cloud
