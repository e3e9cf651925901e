#pragma once

#include <string>

#include "cloud/gateway/strict_json.hpp"
#include "cloud/store/store.hpp"

// What the store knows of a device, as the JSON that `hawser-cloud ... --json` prints. Any thread.
namespace hawser::cloud {

Json time_of(Millis at);  // RFC 3339 in UTC; null for 0
Json summary(const DeviceRecord& device);
Json metrics_json(Store& store, const std::string& serial, bool with_history);
Json whole(Store& store, const DeviceRecord& device);  // the summary, binding, subconnections, last values, events

}  // namespace hawser::cloud
