#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "core/connection/url.hpp"
#include "core/connection/waits.hpp"
#include "core/transport/http.hpp"

// What the cloud's HTTP answers mean (sdk/protocol.md §2 and §3). Strict, and without side effects. Any thread.
namespace hawser::connection {

inline constexpr std::size_t kTokenBytesMax = 4096;
inline constexpr seconds kTokenLifeMax = std::chrono::hours(24 * 365);  // more is taken as this much

enum class Verdict {
  Accepted,
  NonceRequired,  // 401 of /auth
  TokenRefused,   // 401 elsewhere
  Failed
};

template <typename T>
struct Judged {
  Verdict verdict = Verdict::Failed;
  std::optional<T> content;  // when Accepted
  Setback setback;           // otherwise
};

struct TokenAnswer {
  std::string token;
  seconds expires_in{0};
  bool newly_bound = false;
};

struct Registration {
  WssUrl url;
  seconds spread{0};
};

Judged<TokenAnswer> judge_authentication(const transport::HttpAnswer& answer);
Judged<Registration> judge_registration(const transport::HttpAnswer& answer);

// What an upgrade that was answered with something else than 101 came to: TokenRefused for 401, otherwise Failed with
// the setback. 404 and 410 are the caller's to look at.
Judged<std::monostate> judge_upgrade(const transport::HttpAnswer& answer);

bool is_nonce(const std::string& text);  // 16 to 128 of base64url
// The nonce that an answer brought, if it is well-formed.
std::optional<std::string> nonce_of(const transport::HttpAnswer& answer);
// The Date header (RFC 9110 IMF-fixdate), if it is there and well-formed.
std::optional<std::chrono::system_clock::time_point> date_of(const transport::HttpAnswer& answer);

// A token goes into a header and a control message: visible ASCII only.
bool is_token(const std::string& text);

}  // namespace hawser::connection
