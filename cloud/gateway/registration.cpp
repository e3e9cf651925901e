#include "cloud/gateway/registration.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <set>

#include "cloud/gateway/tokens.hpp"
#include "core/base/encoding.hpp"

namespace hawser::cloud {
namespace {

constexpr std::size_t kServicesMax = 64;
constexpr std::size_t kProtocolsMax = 16;
constexpr std::int64_t kSpreadMostS = 300;

bool is_digest(const std::string& text) {
  return text.size() == 71 && text.starts_with("sha256:") && std::all_of(text.begin() + 7, text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

// As a manifest's id: words of a-z, 0-9 and _, with points between. It goes into a header for a microservice.
bool is_plugin_id(const std::string& id) {
  bool word = false, point = false;
  for (const char c : id) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
    if (!good && (c != '.' || !word)) return false;
    point |= c == '.';
    word = good;
  }
  return word && point;
}

ServiceRecord read_service(const Json& entry, Millis now) {
  if (!entry.is_object()) throw SchemaFault("services has an element that is no object");
  ServiceRecord service;
  service.service = text_of(entry, "service", 1, 64);
  if (!is_service_name(service.service)) throw SchemaFault("service has other characters than a-z 0-9 _");
  service.plugin = text_of(entry, "plugin");
  if (!is_plugin_id(service.plugin)) throw SchemaFault("plugin is no id, as in acme.shell");
  service.version = text_of(entry, "version");
  service.digest = text_of(entry, "digest");
  if (!is_digest(service.digest)) throw SchemaFault("digest is not sha256: and 64 hex digits");
  for (const Json& protocol : array_of(entry, "protocols", kProtocolsMax)) {
    const std::string name = protocol.is_string() ? protocol.get<std::string>() : "";
    if (name.empty() || name.size() > kIdBytesMax || name.find(' ') != std::string::npos)
      throw SchemaFault("protocols has an element that is no name");
    service.protocols.push_back(name);
  }
  if (service.protocols.empty()) throw SchemaFault("protocols is empty");
  service.since = now;
  return service;
}

// As long as it takes to let all of them in; a small fleet shall not wait at all.
int spread_for(const Settings& settings, std::int64_t devices) {
  if (settings.reconnect_spread_s >= 0) return settings.reconnect_spread_s;
  return static_cast<int>(std::min<std::int64_t>(2 + devices / settings.admissions_per_second, kSpreadMostS));
}

}  // namespace

bool is_service_name(const std::string& name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

std::vector<ServiceRecord> read_services(const Json& object, Millis now) {
  std::vector<ServiceRecord> services;
  std::set<std::string> seen;
  for (const Json& entry : array_of(object, "services", kServicesMax)) {
    services.push_back(read_service(entry, now));
    if (!seen.insert(services.back().service).second) throw SchemaFault("a service stands twice");
  }
  return services;
}

std::string origin_for(const Settings& settings, const std::string& host) {
  const bool known = std::find(settings.names.begin(), settings.names.end(), host) != settings.names.end();
  std::string name = !settings.public_host.empty() ? settings.public_host : (known ? host : settings.names.front());
  if (name.find(':') != std::string::npos) name = "[" + name + "]";
  const int port = settings.public_connection_port != 0 ? settings.public_connection_port : settings.connection_port;
  return "wss://" + name + (port == 443 ? "" : ":" + std::to_string(port));
}

Bearer bearer_of(Store& store, const std::string& token, TokenKind kind, Now now) {
  Bearer bearer;
  bearer.refused = refusal(401, "token_expired", "no valid token; authenticate again");
  auto record = find_token(store, token, kind, now.wall);
  if (!record) return bearer;
  auto device = store.device(record->serial);
  if (!device) {
    bearer.refused = refusal(403, "device_removed", "this serial was removed from the cloud");
  } else if (device->generation != record->generation) {
    // added anew since: the token belonged to another binding
  } else if (device->blocked) {
    bearer.refused = refusal(403, "device_blocked", "an operator blocked this device");
  } else {
    bearer.device = std::move(device);
    bearer.token = std::move(record);
  }
  return bearer;
}

Response answer_registration(const Settings& settings, Store& store, Admission& admission, Share& share,
                             const Request& request, Now now) {
  Bearer bearer = bearer_of(store, request.bearer, TokenKind::Connect, now);
  if (!bearer.device) return bearer.refused;
  const auto body = parse_strict(request.body);
  if (!body) return refusal(400, "bad_request", "body: " + body.error().message);
  DeviceRecord device = *bearer.device;
  std::vector<ServiceRecord> services;
  try {
    device.boot_id = text_of(*body, "boot_id");
    device.hostname = text_of(*body, "hostname", 0, 253);
    device.site = text_of(*body, "site", 0);
    device.keepalive_s = static_cast<int>(integer_of(*body, "keepalive_s", 10, 600));
    device.keepalive_count = static_cast<int>(integer_of(*body, "keepalive_count", 1, 60));
    device.ping_s = static_cast<int>(integer_of(*body, "ping_s", 5, 600));
    services = read_services(*body, now.wall);
  } catch (const SchemaFault& fault) {
    return refusal(400, "bad_request", fault.what());
  }
  if (const int wait = share.wait_s(device.serial, settings.admissions_per_second, now.mono); wait > 0)
    return refusal(429, "too_many_requests", "this device comes in too often", wait);
  if (const int wait = admission.wait_s(settings.admissions_per_second, now.mono); wait > 0)
    return refusal(503, "unavailable", "more devices come back than are let in at once", wait);
  std::string path(16, '\0');
  random_bytes(std::as_writable_bytes(std::span(path)));
  device.connect_path = base64url(path);
  device.registered_at = now.wall;
  store.note_registration(device);
  store.set_services(device.serial, services);
  spdlog::info("{} registered: site \"{}\", {} services", device.serial, device.site, services.size());
  const std::string url = origin_for(settings, request.host) + "/hawser/v1/connect/" + device.connect_path;
  return {200, Json{{"url", url}, {"reconnect_spread_s", spread_for(settings, store.device_count())}}.dump()};
}

}  // namespace hawser::cloud
