#include <algorithm>
#include <iostream>

#include "cloud/api/commands.hpp"
#include "cloud/api/device_json.hpp"
#include "core/base/encoding.hpp"

namespace hawser::cloud {
namespace {

struct Line {
  std::string order;  // RFC 3339 in UTC to the second, so that its text sorts as the time does
  Json json;
};

// A clock that was not set when it happened: then the time of its arrival is the next best.
Line line_of(const EventRecord& event) {
  const std::string received = time_of(event.received_at).get<std::string>();
  const Json json = {{"side", "device"},        {"at", event.at.empty() ? Json() : Json(event.at)},
                     {"received_at", received}, {"uptime_ms", event.uptime_ms},
                     {"kind", event.kind},      {"service", event.service},
                     {"reason", event.reason},  {"detail", event.detail},
                     {"id", event.id}};
  return {event.at.size() >= 19 && event.at.back() == 'Z' ? event.at.substr(0, 19) + "Z" : received, json};
}

Line line_of(const LinkEvent& event) {
  const std::string at = time_of(event.at).get<std::string>();
  Json json = {{"side", "cloud"},
               {"at", at},
               {"kind", event.up ? "up" : "down"},
               {"service", event.service},
               {"reason", event.reason},
               {"detail", event.detail},
               {"peer", event.peer},
               {"code", event.code == 0 ? Json() : Json(event.code)}};
  return {at, std::move(json)};
}

Line line_of(const OperatorAct& act) {
  const std::string at = time_of(act.at).get<std::string>();
  Json json = {{"side", "cloud"},    {"at", at},   {"kind", "operator"}, {"service", ""}, {"reason", ""},
               {"detail", act.what}, {"peer", ""}, {"code", Json()},     {"by", act.who}};
  return {at, std::move(json)};
}

std::string text_of_line(const Line& line) {
  const auto text = [&](const char* name) {
    const auto found = line.json.find(name);
    return found == line.json.end() || !found->is_string() ? std::string() : printable(found->get<std::string>(), 4096);
  };
  const bool cloud = text("side") == "cloud";
  std::string what = text("kind");
  what.resize(std::max<std::size_t>(what.size(), 14), ' ');
  const auto more = [&](const std::string& word) {
    if (!word.empty()) what += "  " + word;
  };
  more(text("service"));
  more(text("reason"));
  more(text("detail"));
  if (cloud && !text("peer").empty()) more("from " + text("peer"));
  if (!text("by").empty()) more("by " + text("by"));
  if (cloud && !line.json["code"].is_null()) more("closed with " + line.json["code"].dump());
  return printable(line.order, 64) + "  " + (cloud ? "cloud   " : "device  ") + what;
}

}  // namespace

int device_history(Store& store, const std::string& serial, int limit, bool json) {
  if (auto refused = refuse_unknown(store, serial)) return *refused;
  std::vector<Line> lines;
  for (const EventRecord& event : store.events(serial, limit)) lines.push_back(line_of(event));
  for (const LinkEvent& event : store.link_events(serial, limit)) lines.push_back(line_of(event));
  for (const OperatorAct& act : store.acts(serial, limit)) lines.push_back(line_of(act));
  std::stable_sort(lines.begin(), lines.end(), [](const Line& a, const Line& b) { return a.order < b.order; });
  Json events = Json::array();
  for (const Line& line : lines) {
    if (json) {
      events.push_back(line.json);
    } else {
      std::cout << text_of_line(line) << "\n";
    }
  }
  if (json) std::cout << for_terminal(Json{{"events", events}}, 2) << "\n";
  if (lines.empty() && !json) std::cerr << "hawser-cloud: nothing is known of connections of " << serial << " yet\n";
  return 0;
}

}  // namespace hawser::cloud
