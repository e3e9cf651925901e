#pragma once

#include "core/transport/answer_parser.hpp"
#include "core/transport/http.hpp"

namespace hawser::transport {

// The text of a request. Error bad_request when a part of it could break out of its line.
Result<std::string> request_text(const Origin& origin, const HttpRequest& request);

// Sends `text` and reads until `parser` has its answer. Reads while it writes: a server may refuse a request that it
// has not read to the end. Errors: http_timeout, peer_closed, tls_failed, bad_response, cancelled.
Status converse(Stream& stream, Waker& waker, std::string_view text, AnswerParser& parser, TimePoint deadline);

}  // namespace hawser::transport
