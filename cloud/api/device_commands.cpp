#include <algorithm>
#include <iostream>
#include <thread>

#include "cloud/api/commands.hpp"
#include "cloud/api/device_json.hpp"
#include "cloud/api/password.hpp"
#include "cloud/gateway/clock.hpp"
#include "cloud/gateway/proof.hpp"
#include "cloud/gateway/strict_json.hpp"
#include "cloud/gateway/upload.hpp"
#include "core/base/encoding.hpp"

namespace hawser::cloud {
namespace {

std::string dumped(const Json& json) { return for_terminal(json, 2) + "\n"; }

std::string safe(const Json& value) {
  return value.is_string() ? printable(value.get<std::string>(), 256) : value.dump();
}

std::string or_dash(const Json& value) { return value.is_null() || value == "" ? "-" : safe(value); }

const char* none_if_empty(const Json& list) { return list.empty() ? " none\n" : "\n"; }

void print_metric(const Json& metric) {
  std::cout << "  " << safe(metric["name"]) << " "
            << printable(metric["attributes"].dump(-1, ' ', false, Json::error_handler_t::replace), 256) << " = "
            << metric["value"].dump() << " " << safe(metric["unit"]) << "\n";
}

}  // namespace

int failed(const std::string& sentence) {
  std::cerr << "hawser-cloud: " << sentence << "\n";
  return 1;
}

std::optional<int> refuse_unknown(Store& store, const std::string& serial) {
  if (store.device(serial)) return std::nullopt;
  return failed("device " + printable(serial, 64) + " is not added; hawser-cloud device list shows who is");
}

int device_add(Store& store, const DeviceOptions& options) {
  if (!is_serial(options.serial)) return failed("a serial is 1 to 64 of A-Z a-z 0-9 . _ -");
  DeviceRecord device;
  device.serial = options.serial;
  device.model = options.model;
  device.generation = random_uuid();
  device.added_at = Now::real().wall;
  std::optional<std::string> password;
  if (options.password_stdin) {
    auto given = read_password();
    if (!given) return failed(given.error().message);
    password = *given;
  }
  if (auto added = store.add_device(device, password); !added) return failed(added.error().message);
  std::cout << "device " << device.serial << " added; it may enrol within 7 days\n";
  return 0;
}

int device_list(Store& store, bool json) {
  Json list = Json::array();
  for (const DeviceRecord& device : store.devices()) list.push_back(summary(device));
  if (json) return (std::cout << dumped(list)), 0;
  for (const Json& device : list)
    std::cout << safe(device["serial"]) << "  " << safe(device["state"]) << "  "
              << (device["bound"] ? "bound" : "unbound") << "  " << safe(device["model"]) << "  "
              << safe(device["site"]) << "\n";
  return 0;
}

int device_show(Store& store, const DeviceOptions& options) {
  const auto device = store.device(options.serial);
  if (!device) return *refuse_unknown(store, options.serial);
  const Json json = whole(store, *device);
  if (options.json) return (std::cout << dumped(json)), 0;
  for (const char* key :
       {"serial", "model", "state", "state_since", "site", "hostname", "agent", "peer", "last_reason"})
    std::cout << key << ": " << or_dash(json[key]) << "\n";
  std::cout << "bound key: " << or_dash(json["binding"]["key_thumbprint"])
            << "\nsubconnections:" << none_if_empty(json["subconnections"]);
  for (const Json& entry : json["subconnections"])
    std::cout << "  " << safe(entry["service"]) << "  " << safe(entry["state"]) << " since " << or_dash(entry["since"])
              << (entry["reason"] == "" ? "" : ", " + safe(entry["reason"])) << "  acknowledged "
              << entry["acked"].dump() << ", received " << entry["received"].dump() << ", refused "
              << entry["nacked"].dump() << "\n";
  std::cout << "metrics:" << none_if_empty(json["metrics"]);
  for (const Json& metric : json["metrics"]) print_metric(metric);
  std::cout << "events:" << none_if_empty(json["events"]);
  for (const Json& event : json["events"])
    std::cout << "  " << safe(event["at"].is_null() ? event["received_at"] : event["at"]) << "  " << safe(event["kind"])
              << "  " << safe(event["service"]) << "  " << safe(event["reason"]) << "  " << safe(event["detail"])
              << "\n";
  return 0;
}

int device_remove(const Settings& settings, Store& store, const std::string& serial) {
  if (!store.remove_device(serial)) return *refuse_unknown(store, serial);
  remove_bundles(settings, serial);
  std::cout << "device " << serial << " removed with everything that was kept of it\n";
  return 0;
}

int device_block(Store& store, const std::string& serial, bool blocked) {
  if (!store.set_blocked(serial, blocked)) return *refuse_unknown(store, serial);
  std::cout << "device " << serial << (blocked ? " blocked\n" : " may connect again\n");
  return 0;
}

int show_logs(Store& store, const std::string& serial, const std::string& source, bool json) {
  if (auto refused = refuse_unknown(store, serial)) return *refused;
  bool any = false;
  store.logs(serial, source, [&](const StoredLog& log) {
    any = true;
    if (!json) {
      if (log.chunk.pull.empty()) std::cout << log.chunk.body;
      return;
    }
    const LogChunk& c = log.chunk;
    Json line = {{"source", c.source},
                 {"file_id", c.file_id},
                 {"offset", c.offset},
                 {"end_offset", c.end_offset},
                 {"lines", c.lines},
                 {"first_at", c.first_at},
                 {"format", c.format},
                 {"partial", c.partial},
                 {"lost", c.lost},
                 {"pull", c.pull.empty() ? Json() : Json(c.pull)},
                 {"contiguous", log.contiguous},
                 {"received_at", time_of(log.received_at)},
                 {"body_b64", base64(c.body)}};
    std::cout << for_terminal(line) << "\n";
  });
  if (!any)
    std::cerr << "hawser-cloud: no logs of " << serial << (source.empty() ? "" : ", source " + printable(source, 128))
              << " are kept; hawser-cloud device show " << serial << " tells whether log_upload is ready\n";
  return 0;
}

int show_metrics(Store& store, const std::string& serial, bool json, int set_interval_s) {
  if (auto refused = refuse_unknown(store, serial)) return *refused;
  if (set_interval_s > 0) {
    const auto services = store.services(serial);
    if (std::none_of(services.begin(), services.end(), [](const ServiceRecord& service) {
          return service.service == "monitoring" && service.state == "ready";
        }))
      return failed("monitoring of " + serial +
                    " is not connected, and the interval is not kept for it; try again when hawser-cloud device show " +
                    serial + " says ready");
    store.queue_text(serial, "monitoring", Json{{"type", "set_interval"}, {"interval_s", set_interval_s}}.dump());
    std::cout << "the device is asked to sample every " << set_interval_s << " s while it is connected\n";
    return 0;
  }
  const Json list = metrics_json(store, serial, json);
  if (json) return (std::cout << dumped(list)), 0;
  for (const Json& metric : list) print_metric(metric);
  if (list.empty())
    std::cerr << "hawser-cloud: no metrics of " << serial << " are kept; hawser-cloud device show " << serial
              << " tells whether monitoring is ready\n";
  return 0;
}

int send_command(Store& store, const std::string& serial, const std::string& name, const std::string& args,
                 int wait_s) {
  if (auto refused = refuse_unknown(store, serial)) return *refused;
  const auto parsed = parse_strict(args);
  if (!parsed) return failed("--args: " + parsed.error().message);
  const CommandRecord command{random_uuid(), name, parsed->dump(), "open", ""};
  if (auto added = store.add_command(serial, command, Now::real().wall); !added) return failed(added.error().message);
  std::cerr << "command " << command.id << " queued\n";
  for (const auto end = Now::real().mono + wait_s * 1000LL; Now::real().mono < end;
       std::this_thread::sleep_for(kStorePoll)) {
    const auto answer = store.command(serial, command.id);
    if (!answer) return failed("the device was removed meanwhile");
    if (answer->state == "open") continue;
    std::cout << for_terminal(Json::parse(answer->result)) << "\n";
    return answer->state == "done" ? 0 : 1;
  }
  return wait_s == 0 ? 0 : failed("no answer within " + std::to_string(wait_s) + " s; it stays queued");
}

}  // namespace hawser::cloud
