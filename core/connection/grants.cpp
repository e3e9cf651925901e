#include "core/connection/grants.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <set>

#include "core/connection/answers.hpp"
#include "core/connection/url.hpp"

namespace hawser::connection {
namespace {

struct Limit {
  const char* member;
  std::int64_t least, most;
};
constexpr std::array kLimits{Limit{"expires_in", 1, json::kIntegerMax},
                             Limit{"max_message_bytes", kMessageBytesLeast, json::kIntegerMax},
                             Limit{"max_in_flight_messages", 1, json::kIntegerMax},
                             Limit{"max_in_flight_bytes", 1024, json::kIntegerMax}, Limit{"ping_s", 5, 600}};
constexpr std::array<std::string_view, 4> kRefusalReasons{"service_unknown", "not_enabled_for_site",
                                                          "microservice_down", "plugin_blocked"};

Error policy(const std::string& what) { return {"policy", what}; }

Result<std::string> service_of(const json::Object& row) {
  auto service = json::text_member(row, "service", 1, 64);
  if (!service) return policy(service.error().message);
  if (!is_service_name(*service)) return policy("member \"service\" must be of a-z 0-9 _");
  return service;
}

// One grant rebuilt of its known members, so that nothing unknown travels on to a host.
Result<json::Object> read_grant(const json::Object& grant) {
  const auto service = service_of(grant);
  if (!service) return service.error();
  const auto protocol = json::text_member(grant, "protocol");
  if (!protocol) return policy(protocol.error().message);
  const auto url = json::text_member(grant, "url", 1, kUrlBytesMax);
  if (!url) return policy(url.error().message);
  if (const auto parsed = parse_wss_url(*url); !parsed) return policy(parsed.error().message);
  const auto token = json::text_member(grant, "token", 1, kTokenBytesMax);
  if (!token) return policy(token.error().message);
  if (!is_token(*token)) return policy("member \"token\" must be visible ASCII");
  auto checked = json::make_object();
  checked->set("service", *service);
  checked->set("protocol", *protocol);
  checked->set("url", *url);
  checked->set("token", *token);
  for (const Limit& limit : kLimits) {
    const auto number = json::integer_member(grant, limit.member, limit.least, limit.most);
    if (!number) return policy(number.error().message);
    checked->set(limit.member, *number);
  }
  return checked;
}

bool is_offered(const json::Object& grant, const std::vector<Offer>& offers) {
  const auto service = json::text_or(grant, "service");
  const auto offer = std::find_if(offers.begin(), offers.end(), [&](const Offer& o) { return o.service == service; });
  if (offer == offers.end()) return false;
  const auto& protocols = offer->protocols;
  return std::find(protocols.begin(), protocols.end(), json::text_or(grant, "protocol")) != protocols.end();
}

}  // namespace

bool is_service_name(const std::string& name) {
  const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), fits);
}

Result<std::vector<json::Object>> read_grants(const json::Object& message, const std::vector<Offer>& offers,
                                              Misfit misfit) {
  const auto array = json::array_member(message, "grants", kServicesMax);
  if (!array) return policy(array.error().message);
  std::vector<json::Object> grants;
  std::set<std::string> services;
  for (std::size_t i = 0; i < (*array)->size(); ++i) {
    const std::string where = "grant " + std::to_string(i + 1);
    const auto row = json::object_at(*array, i);
    if (!row) return policy(where + " must be an object");
    auto grant = read_grant(*row);
    if (!grant) return grant.error().with_context(where);
    const auto service = json::text_or(*grant, "service");
    if (!services.insert(service).second) return policy(where + ": service " + service + " stands twice");
    if (is_offered(*grant, offers)) {
      grants.push_back(std::move(*grant));
    } else if (misfit == Misfit::Fault) {
      return policy(where + ": service " + service + " with this protocol was not offered");
    }
  }
  return grants;
}

Result<std::vector<Refusal>> read_refusals(const json::Object& message) {
  const auto array = json::array_member(message, "refused", kServicesMax);
  if (!array) return policy(array.error().message);
  std::vector<Refusal> refusals;
  for (std::size_t i = 0; i < (*array)->size(); ++i) {
    const std::string where = "refusal " + std::to_string(i + 1);
    const auto row = json::object_at(*array, i);
    if (!row) return policy(where + " must be an object");
    const auto service = service_of(*row);
    if (!service) return service.error().with_context(where);
    const auto reason = json::text_member(*row, "reason");
    if (!reason) return policy(reason.error().message).with_context(where);
    if (std::find(kRefusalReasons.begin(), kRefusalReasons.end(), *reason) == kRefusalReasons.end())
      return policy(where + ": the reason is not one of the protocol's");
    refusals.push_back({*service, *reason});
  }
  return refusals;
}

std::vector<Offer> admissible(std::vector<Offer> offers) {
  std::set<std::string> names;
  std::vector<Offer> kept;
  for (Offer& offer : offers) {
    if (kept.size() == kServicesMax || !is_service_name(offer.service) || !names.insert(offer.service).second) {
      spdlog::warn("plugin {}: its service {} is not offered: a name stands once, is of a-z 0-9 _, and {} are the most",
                   offer.plugin, offer.service, kServicesMax);
      continue;
    }
    kept.push_back(std::move(offer));
  }
  return kept;
}

json::Array services_of(const std::vector<Offer>& offers) {
  auto services = json::make_array();
  for (const Offer& offer : offers) {
    auto row = json::make_object();
    row->set("service", offer.service);
    row->set("plugin", offer.plugin);
    row->set("version", offer.version);
    row->set("digest", offer.digest);
    auto protocols = json::make_array();
    for (const auto& protocol : offer.protocols) protocols->add(protocol);
    row->set("protocols", protocols);
    services->add(row);
  }
  return services;
}

}  // namespace hawser::connection
