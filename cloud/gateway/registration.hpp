#pragma once

#include <vector>

#include "cloud/api/settings.hpp"
#include "cloud/gateway/admission.hpp"
#include "cloud/gateway/clock.hpp"
#include "cloud/gateway/http.hpp"
#include "cloud/store/store.hpp"

// POST /hawser/v1/register, sdk/protocol.md §3, and what registration and the main connection share.
namespace hawser::cloud {

// `admission` is of registrations alone: a herd that authenticated in turns may come to register all at once.
Response answer_registration(const Settings& settings, Store& store, Admission& admission, Share& share,
                             const Request& request, Now now);

bool is_service_name(const std::string& name);  // 1 to 64 of a-z 0-9 _
// The list of §3: at most 64, each name once. Throws SchemaFault.
std::vector<ServiceRecord> read_services(const Json& object, Millis now);

// "wss://host[:port]" as the device should dial it; `host` is the name it used.
std::string origin_for(const Settings& settings, const std::string& host);

// Who a connect token belongs to: the device, or the refusal of §3.
struct Bearer {
  std::optional<DeviceRecord> device;
  std::optional<TokenRecord> token;
  Response refused;
};
Bearer bearer_of(Store& store, const std::string& token, TokenKind kind, Now now);

}  // namespace hawser::cloud
