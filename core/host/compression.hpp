#pragma once

#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.hpp"

struct ZSTD_CCtx_s;

// Payloads as one zstd frame (sdk/protocol.md §5).
namespace hawser::host {

inline constexpr int kZstdLevel = 3;
inline constexpr int kZstdWindowLogMax = 23;             // 8 MiB
inline constexpr std::size_t kContentFactor = 16;        // content at most this many times max_message_bytes
inline constexpr std::size_t kCompressBytesLeast = 128;  // below it a frame's own header eats the gain

// Owned by one subconnection; shrink() is for any thread, one at a time. The context is made at first use, since a host
// whose plugin never compresses should not pay for it.
class Compressor {
 public:
  Compressor() = default;
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;
  ~Compressor();

  // The frame, or nothing where it would not be shorter than `data`.
  std::optional<std::string> shrink(std::string_view data);

 private:
  std::mutex mutex_;
  ZSTD_CCtx_s* context_ = nullptr;
};

// The content of exactly one frame without dictionary. Errors are bad_payload with what was wrong. Any thread.
Result<std::string> decompress(std::string_view frame, std::size_t content_bytes_max);

}  // namespace hawser::host
