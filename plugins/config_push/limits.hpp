#pragma once

#include <chrono>
#include <cstddef>

// Every limit of this plugin, in one place.
namespace hawser::config_push {

using namespace std::chrono_literals;

inline constexpr std::size_t kRevisionBytesMax = 64 * 1024 * 1024;  // all files together
inline constexpr std::size_t kPartsMax = 1024;
inline constexpr std::size_t kPartBytesMax = 16 * 1024 * 1024;  // 16 × the message limit: what zstd may unfold to
inline constexpr std::size_t kFilesMax = 512;
inline constexpr std::size_t kReloadsMax = 8;
inline constexpr std::size_t kPathBytesMax = 1024;
inline constexpr std::size_t kAllowedMax = 64;
inline constexpr std::size_t kStateFileBytesMax = 4 * 1024 * 1024;
inline constexpr std::size_t kStatusesMax = 64;                // that wait for the cloud; the oldest is dropped
inline constexpr std::size_t kDiffBytesMax = 128 * 1024;       // of one answer
inline constexpr std::size_t kDiffFileBytesMax = 1024 * 1024;  // of a file that is compared line by line
inline constexpr std::size_t kDetailBytesMax = 2000;
inline constexpr auto kPartsTimeout = 10min;  // between the parts of one revision
inline constexpr auto kSleepLook = 1s;        // at whether the device slept over the time to confirm
inline constexpr auto kPutBackRetry = 30s;    // when the old files could not be put back
inline constexpr int kConfirmTimeoutMax_s = 3600;

}  // namespace hawser::config_push
