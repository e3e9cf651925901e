#pragma once

#include "core/control/upload.hpp"

namespace hawser::control {

inline constexpr std::chrono::seconds kDownloadStallLimit{30};  // while not a byte comes
inline constexpr std::chrono::minutes kDownloadLimit{15};       // for all of it

// Gets what stands there into `file`, at most `bytes_max`, over verified TLS, without a token. Only a 200 is success; a
// redirect is not followed, and is an Error like any other answer. One thread: that of the dialer's waker.
Status download(transport::Dialer& dialer, const HttpsUrl& url, int file, std::size_t bytes_max,
                const Binding& binding);

}  // namespace hawser::control
