#include "cloud/api/device_json.hpp"

#include <ctime>

namespace hawser::cloud {
namespace {
constexpr int kEventsShown = 200;
}

Json time_of(Millis at) {
  if (at == 0) return nullptr;
  const std::time_t seconds = at / 1000;
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

Json summary(const DeviceRecord& device) {
  return {{"serial", device.serial},
          {"model", device.model},
          {"state", device.blocked ? "blocked" : device.state},
          {"state_since", time_of(device.state_since)},
          {"bound", !device.key_thumbprint.empty()},
          {"site", device.site},
          {"hostname", device.hostname},
          {"added_at", time_of(device.added_at)}};
}

static Json subconnections(Store& store, const std::string& serial) {
  Json list = Json::array();
  const auto figures = store.figures(serial);
  for (const ServiceRecord& service : store.services(serial)) {
    Json entry = {{"service", service.service},
                  {"plugin", service.plugin},
                  {"version", service.version},
                  {"digest", service.digest},
                  {"state", service.state},
                  {"since", time_of(service.since)},
                  {"reason", service.reason},
                  {"acked", 0},
                  {"received", 0},
                  {"nacked", 0},
                  {"skipped", 0},
                  {"outbound_pending", 0},
                  {"outbound_acked", 0},
                  {"stream", nullptr}};
    std::int64_t received = 0, nacked = 0, skipped = 0;
    for (const StreamFigures& stream : figures) {  // the last is the present one; sums go over all that are kept
      if (stream.service != service.service) continue;
      received += stream.received;
      nacked += stream.nacked;
      skipped += stream.skipped;
      entry["stream"] = stream.stream;
      entry["acked"] = stream.acked;
      entry["outbound_pending"] = stream.outbound_pending;
      entry["outbound_acked"] = stream.outbound_acked;
    }
    entry["received"] = received;
    entry["nacked"] = nacked;
    entry["skipped"] = skipped;
    list.push_back(std::move(entry));
  }
  return list;
}

Json metrics_json(Store& store, const std::string& serial, bool with_history) {
  Json list = Json::array();
  for (const MetricValue& metric : store.metrics(serial, with_history)) {
    Json entry = {{"name", metric.point.name},
                  {"unit", metric.point.unit},
                  {"attributes", Json::parse(metric.point.attributes)},
                  {"value", metric.point.value},
                  {"at", time_of(metric.point.at)}};
    if (with_history) {
      entry["history"] = Json::array();
      for (const auto& [at, value] : metric.history) entry["history"].push_back({at, value});
    }
    list.push_back(std::move(entry));
  }
  return list;
}

static Json events_json(Store& store, const std::string& serial) {
  Json list = Json::array();
  for (const EventRecord& event : store.events(serial, kEventsShown))
    list.push_back({{"id", event.id},
                    {"at", event.at.empty() ? Json() : Json(event.at)},
                    {"received_at", time_of(event.received_at)},
                    {"uptime_ms", event.uptime_ms},
                    {"kind", event.kind},
                    {"service", event.service},
                    {"reason", event.reason},
                    {"detail", event.detail}});
  return list;
}

Json whole(Store& store, const DeviceRecord& device) {
  Json json = summary(device);
  json["binding"] = {{"key_thumbprint", device.key_thumbprint.empty() ? Json() : Json(device.key_thumbprint)},
                     {"bound_at", time_of(device.bound_at)},
                     {"password_set", device.password_set}};
  json["agent"] = device.agent;
  json["boot_id"] = device.boot_id;
  json["peer"] = device.peer;
  json["last_reason"] = device.last_reason.empty() ? Json() : Json(device.last_reason);
  json["registered_at"] = time_of(device.registered_at);
  json["keepalive_s"] = device.keepalive_s;
  json["keepalive_count"] = device.keepalive_count;
  json["ping_s"] = device.ping_s;
  json["subconnections"] = subconnections(store, device.serial);
  json["metrics"] = metrics_json(store, device.serial, false);
  json["events"] = events_json(store, device.serial);
  return json;
}

}  // namespace hawser::cloud
