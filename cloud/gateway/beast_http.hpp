#pragma once

#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <string>

#include "cloud/gateway/beast_peer.hpp"
#include "cloud/gateway/http.hpp"

// Between Beast's HTTP messages and the plain values that are answered. Any thread.
namespace hawser::cloud {

// `address` is the peer's, without port.
Request plain(const HttpRequest& from, const std::string& address);
boost::beast::http::response<boost::beast::http::string_body> framed(const Response& from, unsigned version,
                                                                     bool keep_alive);

}  // namespace hawser::cloud
