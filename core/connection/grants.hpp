#pragma once

#include <string>
#include <vector>

#include "core/connection/main_connection.hpp"

// Grants as the cloud sends them (sdk/protocol.md §5), checked to the last member. Any thread.
namespace hawser::connection {

inline constexpr std::size_t kServicesMax = 64;
inline constexpr std::int64_t kMessageBytesLeast = 1024;  // the host takes what is too much at what it can hold

bool is_service_name(const std::string& name);  // [a-z0-9_]{1,64}

// How strict to be with a grant that fits no offer: an update may cross a request for another list on the wire.
enum class Misfit { Fault, Skip };

// The grants of member `grants`: known members only, each service once, in the order of the message. A grant for a
// service or a protocol that is not offered is a fault, or left out. Every fault is a schema fault, code policy.
Result<std::vector<json::Object>> read_grants(const json::Object& message, const std::vector<Offer>& offers,
                                              Misfit misfit);
Result<std::vector<Refusal>> read_refusals(const json::Object& message);

// What of `offers` may stand in a list: at most kServicesMax, each name once and well-formed. What is left out is
// logged.
std::vector<Offer> admissible(std::vector<Offer> offers);

// The rows of `services` in a registration and in a subconnection_request.
json::Array services_of(const std::vector<Offer>& offers);

}  // namespace hawser::connection
