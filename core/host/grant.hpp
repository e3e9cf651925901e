#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "core/base/json.hpp"
#include "core/base/network.hpp"
#include "core/base/waker.hpp"
#include "core/transport/stream.hpp"

namespace hawser::host {

// What a grant allows on one connection (sdk/protocol.md §5). Sizes are as on the wire, the 9-byte header included.
struct Limits {
  std::size_t message_bytes = 1024 * 1024;
  std::uint64_t in_flight_messages = 4096;
  std::uint64_t in_flight_bytes = 8 * 1024 * 1024;
  std::chrono::seconds ping{60};
};

// One grant, checked. An immutable value. The token is a secret: it goes to the dial and nowhere else.
struct Grant {
  std::string service, protocol, url, path, token;
  transport::Origin origin;
  TimePoint expires;
  Limits limits;
  Binding binding;  // the main connection's, which the core added
};

// Reads a grant that was received at `now`. Errors are bad_response and never contain the token.
Result<Grant> read_grant(const json::Object& object, TimePoint now);

}  // namespace hawser::host
