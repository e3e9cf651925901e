#pragma once

#include <map>
#include <optional>

#include "core/transport/stream.hpp"

namespace hawser::transport {

struct HttpRequest {
  std::string method = "POST";
  std::string path;
  std::string bearer;                          // empty: no Authorization header
  std::map<std::string, std::string> headers;  // besides Host, Content-Type, Content-Length, Authorization, User-Agent
  std::string body;                            // JSON; sent with Content-Type application/json when not empty
};

struct HttpAnswer {
  int status = 0;
  std::multimap<std::string, std::string> headers;  // names in lower case, values trimmed
  std::string body;
  bool keep_alive = false;  // whether the stream may carry another exchange

  // The value of a header that stands exactly once.
  std::optional<std::string> header(const std::string& name) const;
};

// One exchange on `stream` (HTTP/1.1), until `deadline` or kHttpLimit. Errors: http_timeout, peer_closed, cancelled,
// and bad_response for whatever is not a well-formed HTTP/1.1 answer within the limits (its message begins with what
// was wrong; the first 120 printable characters of the answer stand in it). Redirects are answers like any other;
// nothing is followed.
Result<HttpAnswer> exchange(Stream& stream, Waker& waker, const Origin& origin, const HttpRequest& request,
                            TimePoint deadline);

// Seconds of a Retry-After header, clamped to 1 s .. 1 h; nothing when there is none or when it is no number of
// seconds.
std::optional<std::chrono::seconds> retry_after(const HttpAnswer& answer);

// What a person should make of an answer that no Hawser cloud gives: "not a Hawser cloud: HTTP 200 text/html"; or,
// after an upgrade was asked for, that a proxy may have removed it. Empty where there is nothing to add.
std::string hint_of(const HttpAnswer& answer, bool asked_to_upgrade = false);

}  // namespace hawser::transport
