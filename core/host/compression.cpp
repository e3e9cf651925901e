#include "core/host/compression.hpp"

#include <zstd.h>

#include <array>
#include <memory>

namespace hawser::host {
namespace {

// Small on purpose: zstd skips its check of the window when the whole content fits the output at once.
constexpr std::size_t kStepBytes = 64 * 1024;

Error bad(const std::string& what) { return {"bad_payload", "zstd: " + what}; }

bool begins_with_frame(std::string_view data) {
  constexpr std::string_view kMagic("\x28\xb5\x2f\xfd", 4);
  return data.substr(0, kMagic.size()) == kMagic;  // a skippable frame has another one
}

}  // namespace

Compressor::~Compressor() { ZSTD_freeCCtx(context_); }

std::optional<std::string> Compressor::shrink(std::string_view data) {
  if (data.size() < kCompressBytesLeast) return std::nullopt;
  const std::lock_guard lock(mutex_);
  if (!context_) context_ = ZSTD_createCCtx();
  if (!context_) return std::nullopt;
  std::string frame(ZSTD_compressBound(data.size()), '\0');
  const std::size_t size =
      ZSTD_compressCCtx(context_, frame.data(), frame.size(), data.data(), data.size(), kZstdLevel);
  if (ZSTD_isError(size) || size >= data.size()) return std::nullopt;
  return std::string(frame.data(), size);  // a copy, so that the outbox holds no slack
}

Result<std::string> decompress(std::string_view frame, std::size_t content_bytes_max) {
  if (!begins_with_frame(frame)) return bad("the payload does not begin with a frame");
  if (ZSTD_getDictID_fromFrame(frame.data(), frame.size()) != 0) return bad("the frame wants a dictionary");
  const std::unique_ptr<ZSTD_DCtx, decltype(&ZSTD_freeDCtx)> context(ZSTD_createDCtx(), &ZSTD_freeDCtx);
  if (!context) return bad("out of memory");
  ZSTD_DCtx_setParameter(context.get(), ZSTD_d_windowLogMax, kZstdWindowLogMax);
  std::string content;
  const auto step = std::make_unique<std::array<char, kStepBytes>>();
  ZSTD_inBuffer in{frame.data(), frame.size(), 0};
  for (;;) {
    ZSTD_outBuffer out{step->data(), step->size(), 0};
    const std::size_t left = ZSTD_decompressStream(context.get(), &out, &in);
    if (ZSTD_isError(left)) return bad(ZSTD_getErrorName(left));
    if (content.size() + out.pos > content_bytes_max)
      return bad("the content is over " + std::to_string(content_bytes_max) + " bytes");
    content.append(step->data(), out.pos);
    if (left == 0) break;
    if (in.pos == in.size && out.pos < out.size) return bad("the frame is cut short");
  }
  if (in.pos != in.size) return bad("something follows the frame");
  return content;
}

}  // namespace hawser::host
