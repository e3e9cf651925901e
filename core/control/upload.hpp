#pragma once

#include <string>
#include <string_view>

#include "core/config/settings.hpp"
#include "core/transport/stream.hpp"

namespace hawser::control {

inline constexpr std::chrono::seconds kUploadStallLimit{30};  // while not a byte moves
inline constexpr std::chrono::minutes kUploadLimit{30};       // for all of it

// Where a bundle goes (sdk/protocol.md §1): https only, no user, no fragment; a query is allowed.
struct HttpsUrl {
  transport::Origin origin;
  std::string path;  // with its query
};
Result<HttpsUrl> parse_https_url(std::string_view url);

// Of the server that `state` (may be null) names as the present one, else of the first.
Binding binding_in_force(const config::Settings& settings, const json::Object& state);

// Puts the first `size` bytes of `file` there, over verified TLS, without a token. Any 2xx is success; a redirect is
// not followed, and is an Error like any other answer. One thread: that of the dialer's waker.
Status upload(transport::Dialer& dialer, const HttpsUrl& url, int file, std::size_t size, const Binding& binding);

}  // namespace hawser::control
