#pragma once

#include <boost/beast/http/parser.hpp>

#include "cloud/gateway/beast_peer.hpp"
#include "cloud/gateway/http.hpp"
#include "cloud/gateway/upload.hpp"

namespace hawser::cloud {

// Reads the body of a PUT whose header stands in `parser` into `upload`, in pieces, and says how it ended. The
// connection serves nothing afterwards. The gateway's thread.
boost::asio::awaitable<Response> receive_upload(
    TlsStream& stream, boost::beast::flat_buffer& buffer,
    boost::beast::http::request_parser<boost::beast::http::string_body>&& parser, Upload upload);

}  // namespace hawser::cloud
