#pragma once

#include <string>

#include "cloud/gateway/beast_peer.hpp"
#include "cloud/gateway/http.hpp"

namespace hawser::cloud {

// Answers a GET with the file, in pieces. What it returns is to be answered instead where the file cannot be read. The
// connection serves nothing afterwards. The gateway's thread.
boost::asio::awaitable<std::optional<Response>> send_file(TlsStream& stream, const std::string& file);

}  // namespace hawser::cloud
