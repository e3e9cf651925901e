#pragma once

#include <chrono>
#include <cstddef>

// Every wait and size of the transport, in one place (sdk/protocol.md §1, promise conn-21).
namespace hawser::transport {

using namespace std::chrono_literals;

inline constexpr std::chrono::milliseconds kDnsLimit = 5s;
inline constexpr std::chrono::milliseconds kConnectLimit = 10s;
inline constexpr std::chrono::milliseconds kTlsLimit = 10s;
inline constexpr std::chrono::milliseconds kHttpLimit = 15s;         // one exchange, the upgrade included
inline constexpr std::chrono::milliseconds kAttemptLimit = 45s;      // one server, from DNS to 101
inline constexpr std::chrono::milliseconds kAddressStagger = 250ms;  // RFC 8305: between two addresses of one name
inline constexpr std::chrono::milliseconds kResolutionDelay = 50ms;  // RFC 8305: for the other family's answer
inline constexpr std::chrono::milliseconds kCloseLimit =
    2s;  // for our queue, the peer's Close and the end of TCP together
inline constexpr std::chrono::milliseconds kFrameLimit = 30s;  // from a frame's first byte to its last
inline constexpr std::chrono::milliseconds kWriteLimit = 30s;  // output waits and the peer takes nothing

inline constexpr std::size_t kHeaderBytesMax = 16 * 1024;   // status line and headers of any answer
inline constexpr std::size_t kAddressesMax = 16;            // of one name; more are not tried
inline constexpr std::size_t kHostsBytesMax = 1024 * 1024;  // of a namespace's own hosts file
inline constexpr std::size_t kHeaderFieldsMax = 100;
inline constexpr std::size_t kBodyBytesMax = 64 * 1024;      // an HTTP body
inline constexpr std::size_t kFrameBytesMax = 64 * 1024;     // one frame that we send
inline constexpr std::size_t kRecordBytes = 16 * 1024;       // output is gathered to this much
inline constexpr std::size_t kOutputHighWater = 256 * 1024;  // above it writable() is false, and reading pauses
inline constexpr unsigned kFragmentsMax = 100'000;           // frames of one message
inline constexpr int kReadsPerTurn = 64;                     // so that timers and output do not starve

}  // namespace hawser::transport
