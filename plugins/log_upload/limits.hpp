#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>

// Every limit of this plugin, in one place.
namespace hawser::log_upload {

using namespace std::chrono_literals;

inline constexpr std::size_t kChunkBytesMax = 256 * 1024;          // of a file in one message, before compression
inline constexpr std::size_t kLineBytesMax = 64 * 1024;            // a longer line goes in pieces, marked "partial"
inline constexpr std::size_t kHeaderBytesMax = 4 * 1024;           // sdk/protocol.md §6
inline constexpr std::size_t kNoteBytesMax = 4 * 1024;             // hws_host_subconn.send_source
inline constexpr std::size_t kFrameBytes = 9;                      // what a message has before its payload, §5
inline constexpr std::size_t kInFlightBytesMax = 2 * 1024 * 1024;  // sent and not acknowledged; the file is the spool
inline constexpr std::size_t kInFlightMessagesMax = 256;
inline constexpr std::uint32_t kOutboxBytes = 4 * 1024 * 1024;
inline constexpr std::size_t kTurnBytesMax = 1024 * 1024;  // read in one callback, to stay far below its 250 ms
inline constexpr auto kFlushDelay = 100ms;                 // lines that come in this time share a message
inline constexpr auto kRescanPeriod = 10s;                 // finds what inotify cannot tell
inline constexpr auto kRotatedQuiet = 10s;     // a rotated file that did not grow for so long has no writer any more
inline constexpr std::size_t kFilesMax = 256;  // followed at a time
inline constexpr std::size_t kSourcesMax = 64;
inline constexpr std::size_t kPathsMax = 64;              // of one source
inline constexpr std::size_t kFingerprintBytesMax = 256;  // of a file's beginning
inline constexpr std::size_t kStateBytesMax = 4 * 1024 * 1024;

}  // namespace hawser::log_upload
