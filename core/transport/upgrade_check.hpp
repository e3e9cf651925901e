#pragma once

#include "core/transport/http.hpp"

namespace hawser::transport {

// The Sec-WebSocket-Accept that belongs to a Sec-WebSocket-Key.
std::string accept_for(const std::string& key);

// RFC 6455 §4.1: whether a 101 may be taken as the answer to a request with `key` and `protocol` (empty: none was asked
// for). Error upgrade_refused names the check.
Status check_upgrade(const HttpAnswer& answer, const std::string& key, const std::string& protocol);

}  // namespace hawser::transport
