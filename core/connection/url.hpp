#pragma once

#include <string>
#include <string_view>

#include "core/base/result.hpp"
#include "core/transport/stream.hpp"

namespace hawser::connection {

inline constexpr std::size_t kUrlBytesMax = 2048;

// A URL that is dialled: wss, no user, query or fragment (sdk/protocol.md §1).
struct WssUrl {
  transport::Origin origin;  // lower case, an IPv6 literal without brackets
  std::string path;          // begins with /
};

// Strict: whatever does not fit is an Error bad_response that says what. Any thread.
Result<WssUrl> parse_wss_url(std::string_view url);

// The host of a server as `aud` and the TLS name want it: lower case, without a final dot.
std::string canonical_host(std::string_view domain);

}  // namespace hawser::connection
