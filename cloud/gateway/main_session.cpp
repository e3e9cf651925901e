#include "cloud/gateway/main_session.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <map>

#include "cloud/gateway/registration.hpp"
#include "cloud/gateway/tokens.hpp"
#include "core/base/encoding.hpp"

namespace hawser::cloud {
namespace {

constexpr std::size_t kEventsPerReport = 100;
constexpr std::size_t kProfilePluginsMax = 64;
constexpr std::size_t kDetailBytesMax = 4096;
constexpr std::size_t kAnswerShownMax = 512;
constexpr const char* kDisabled = "not_enabled_for_site";
constexpr std::array kKinds = {"up",     "down",      "failover", "service_state", "plugin_state", "quarantine",
                               "config", "threshold", "dropped",  "twin",          "security"};

EventRecord read_event(const Json& entry, Now now) {
  if (!entry.is_object()) throw SchemaFault("events has an element that is no object");
  EventRecord event;
  event.id = text_of(entry, "id");
  if (!entry.contains("at")) throw SchemaFault("at is missing");
  event.at = text_if_any(entry, "at", 64);
  event.uptime_ms = integer_of(entry, "uptime_ms", 0);
  event.kind = text_of(entry, "kind");
  if (std::find(kKinds.begin(), kKinds.end(), event.kind) == kKinds.end()) throw SchemaFault("kind is unknown");
  event.service = text_if_any(entry, "service", 64);
  event.reason = text_if_any(entry, "reason");
  event.detail = text_if_any(entry, "detail", 4096);
  event.received_at = now.wall;
  return event;
}

const char* name_of(UnbindOutcome outcome) {
  switch (outcome) {
    case UnbindOutcome::CodeExpired:
      return "code_expired";
    case UnbindOutcome::CodeUsed:
      return "code_used";
    case UnbindOutcome::TooMany:
      return "too_many_requests";
    default:
      return "code_wrong";
  }
}

}  // namespace

MainSession::MainSession(Hub& hub, Peer& peer, DeviceRecord device, std::string host)
    : hub_(hub), peer_(peer), device_(std::move(device)), host_(std::move(host)) {}

void MainSession::on_open() {
  hub_.entered(shared_from_this());
  hub_.store().note_link(serial(), device_.generation, {"", true, hub_.now().wall, peer_.address(), 0, "", ""}, true);
  spdlog::info("{} connected from {}", serial(), peer_.address());
  store_changed();  // what an operator did while the upgrade was answered; and sends what commands are open
}

void MainSession::on_binary(std::string_view) { end(1003, "not_text"); }

void MainSession::on_text(std::string_view text) {
  if (ended_.empty()) hub_.poll_store();  // nothing of a binding that is over is to be counted for the next one
  if (!ended_.empty()) return;
  using Handler = void (MainSession::*)(const Json&);
  static const std::map<std::string, Handler> handlers = {
      {"keepalive", &MainSession::keepalive},
      {"subconnection_request", &MainSession::subconnection_request},
      {"report", &MainSession::report},
      {"unbind", &MainSession::unbind},
      {"command_result", &MainSession::command_result},
      {"site_profile_result", &MainSession::site_profile_result}};
  const auto message = parse_strict(text);
  if (!message) {
    spdlog::warn("{}: main connection: {}", serial(), message.error().message);
    return end(1007, "bad_payload");
  }
  try {
    const auto handler = handlers.find(text_of(*message, "type"));
    if (handler == handlers.end()) {
      ++ignored_;
    } else {
      (this->*handler->second)(*message);
    }
  } catch (const SchemaFault& fault) {
    spdlog::warn("{}: main connection: {}", serial(), fault.what());
    end(1008, "policy");
  }
}

void MainSession::on_closed(int code, std::string_view words) {
  const std::string reason = ended_.empty() ? reason_of_close(code, words) : ended_;
  hub_.left(*this);
  spdlog::info("{} disconnected: {} (close code {}, {} unknown messages ignored)", serial(), reason, code, ignored_);
  // A newer connection has noted its own state already.
  hub_.store().note_link(serial(), device_.generation,
                         {"", false, hub_.now().wall, peer_.address(), code, reason, detail_}, ended_ != "replaced");
}

void MainSession::end(int code, const std::string& reason, const std::string& detail) {
  if (!ended_.empty()) return;
  ended_ = reason;
  detail_ = detail;
  peer_.close(code, detail.empty() ? reason : reason + " " + detail);
}

void MainSession::send(const Json& message) {
  peer_.send_text(message.dump(-1, ' ', false, Json::error_handler_t::replace));
}

void MainSession::keepalive(const Json& message) {
  const std::int64_t seq = integer_of(message, "seq", 1);
  if (seq != last_seq_ + 1) throw SchemaFault("keepalive numbers do not follow each other from 1");
  last_seq_ = seq;
  send({{"type", "keepalive_ack"}, {"seq", seq}});
}

void MainSession::subconnection_request(const Json& message) {
  const std::string id = text_of(message, "id");
  hub_.store().set_services(serial(), read_services(message, hub_.now().wall));
  Json refused = Json::array();
  Json grants = make_grants(refused);
  send({{"type", "subconnection_list"}, {"id", id}, {"grants", grants}, {"refused", refused}});
}

Json MainSession::make_grants(Json& refused) {
  const Settings& settings = hub_.settings();
  const Now now = hub_.now();
  std::vector<TokenRecord> records;
  Json grants = Json::array();
  for (const ServiceRecord& service : hub_.store().services(serial())) {
    const auto protocol = hub_.protocol(service.service);
    const auto& offered = service.protocols;
    if (disabled_.contains(service.service)) {
      refused.push_back({{"service", service.service}, {"reason", kDisabled}});
      continue;
    }
    if (!protocol || std::find(offered.begin(), offered.end(), *protocol) == offered.end()) {
      refused.push_back({{"service", service.service}, {"reason", "service_unknown"}});
      continue;
    }
    const std::string token = make_token();
    records.push_back({token_hash(token), TokenKind::Grant, serial(), device_.generation, service.service,
                       service.plugin, service.digest, *protocol, now.wall + settings.token_life_s * 1000LL});
    grants.push_back({{"service", service.service},
                      {"protocol", *protocol},
                      {"url", origin_for(settings, host_) + "/hawser/v1/service/" + service.service},
                      {"token", token},
                      {"expires_in", settings.token_life_s},
                      {"max_message_bytes", settings.max_message_bytes},
                      {"max_in_flight_messages", settings.max_in_flight_messages},
                      {"max_in_flight_bytes", settings.max_in_flight_bytes},
                      {"ping_s", settings.grant_ping_s}});
  }
  hub_.store().add_tokens(records);
  grants_issued_ms_ = now.mono;
  return grants;
}

void MainSession::report(const Json& message) {
  const std::string id = text_of(message, "id");
  std::vector<EventRecord> events;
  for (const Json& entry : array_of(message, "events", kEventsPerReport))
    events.push_back(read_event(entry, hub_.now()));
  if (events.empty()) throw SchemaFault("events is empty");
  hub_.store().add_events(serial(), events);
  send({{"type", "report_ack"}, {"id", id}});
}

void MainSession::unbind(const Json& message) {
  const std::string id = text_of(message, "id"), code = text_of(message, "code");
  hub_.commits().flush(hub_.now());  // nothing of this binding is to reach the disk after it has ended
  const UnbindOutcome outcome = hub_.store().try_unbind(serial(), hex(sha256(serial() + " " + code)), hub_.now().wall);
  if (outcome != UnbindOutcome::Done)
    return send({{"type", "unbind_result"}, {"id", id}, {"ok", false}, {"error", name_of(outcome)}});
  send({{"type", "unbind_result"}, {"id", id}, {"ok", true}});
  spdlog::info("{} unbound itself with a code", serial());
  remove_bundles(hub_.settings(), serial());
  hub_.close_subconnections(serial(), 4010, "unbound");
  end(4010, "unbound");
}

void MainSession::command_result(const Json& message) {
  const std::string id = text_of(message, "id");
  const bool ok = bool_of(message, "ok");
  Json result = Json::object();
  if (ok && message.contains("result")) {
    if (!message["result"].is_object()) throw SchemaFault("result is no object");
    result = message["result"];
  } else if (!ok) {
    if (!message.contains("error") || !message["error"].is_object()) throw SchemaFault("error is missing");
    text_of(message["error"], "code");
    text_if_any(message["error"], "message", 4096);
    result = message["error"];
  }
  const auto command = hub_.store().command(serial(), id);
  if (!hub_.store().answer_command(serial(), id, ok, result.dump())) {
    ++ignored_;
  } else if (command && command->name.starts_with("plugin_")) {
    const std::string words =
        ok ? "done" : "refused: " + printable(text_if_any(result, "message", 4096), kAnswerShownMax);
    hub_.store().note_act(serial(), {hub_.now().wall, "the device", "answers " + command->name + ": " + words});
  }
  commands_sent_.erase(id);
}

void MainSession::send_commands(bool again) {
  if (again) commands_sent_.clear();
  commands_sent_ms_ = hub_.now().mono;
  for (const CommandRecord& command : hub_.store().open_commands(serial())) {
    if (!commands_sent_.insert(command.id).second) continue;
    send({{"type", "command"}, {"id", command.id}, {"name", command.name}, {"args", Json::parse(command.args)}});
  }
}

void MainSession::tick(Now now) {
  if (!ended_.empty()) return;
  if ((now.mono - peer_.last_inbound_ms()) * 2 > device_.ping_s * 5000LL) return end(4008, "hang_up");
  if (!commands_sent_.empty() && now.mono - commands_sent_ms_ > kCommandRepeatMs) send_commands(true);
  // New tokens while a quarter of the old ones' life is left.
  if (grants_issued_ms_ != 0 && (now.mono - grants_issued_ms_) * 4 > hub_.settings().token_life_s * 3000LL)
    send_update();
  std::erase_if(revoked_, [&](const auto& entry) {
    if (now.mono - entry.second < kRevokeMs) return false;
    if (disabled_.contains(entry.first)) hub_.close_subconnections(serial(), 4012, "revoked", entry.first);
    return true;
  });
}

void MainSession::store_changed() {
  if (!ended_.empty()) return;
  const auto device = hub_.store().device(serial());
  if (!device || device->generation != device_.generation) {
    hub_.close_subconnections(serial(), 4003, "device_removed");
    return end(4003, "device_removed");
  }
  if (device->blocked) {
    hub_.close_subconnections(serial(), 4001, "token_withdrawn");
    return end(4001, "token_withdrawn");
  }
  follow_services();
  follow_site(device->site);
  send_commands(false);
}

// A device that moved to another site registers anew, so this connection has one.
void MainSession::follow_site(const std::string& site) {
  const auto profile = hub_.store().site(site);
  if (!profile || (profile->site == profile_site_ && profile->revision == profile_revision_)) return;
  profile_id_ = random_uuid();
  profile_site_ = site;
  profile_revision_ = profile->revision;
  send({{"type", "site_profile"},
        {"id", profile_id_},
        {"site", site},
        {"revision", profile->revision},
        {"plugins", Json::parse(profile->plugins)}});
}

void MainSession::site_profile_result(const Json& message) {
  const std::string id = text_of(message, "id"), reason = text_if_any(message, "reason");
  const std::int64_t revision = integer_of(message, "revision", 0);
  Json plugins = Json::array();
  for (const Json& entry : array_of(message, "plugins", kProfilePluginsMax)) {
    if (!entry.is_object()) throw SchemaFault("plugins has an element that is no object");
    plugins.push_back({{"id", text_of(entry, "id")},
                       {"state", text_of(entry, "state")},
                       {"reason", text_if_any(entry, "reason")},
                       {"detail", text_if_any(entry, "detail", kDetailBytesMax)}});
  }
  if (id != profile_id_) {  // of an earlier one
    ++ignored_;
    return;
  }
  if (!reason.empty())
    spdlog::warn(
        "{}: revision {} of its site's profile is not taken: {}; it has revision {}, and the next site set "
        "goes beyond it",
        serial(), profile_revision_, printable(reason), revision);
  hub_.store().note_profile_result(serial(), profile_site_, {revision, plugins.dump(), reason, hub_.now().wall});
}

// Its outbox stays at the device; who does not leave within the time of the protocol is closed from here.
void MainSession::follow_services() {
  const auto before = std::exchange(disabled_, hub_.store().disabled_services(serial()));
  const bool granted = grants_issued_ms_ != 0;  // else there is nothing to tell, but one of before may still be open
  bool given_back = false;
  for (const std::string& service : before) given_back = given_back || !disabled_.contains(service);
  for (const std::string& service : disabled_) {
    if (before.contains(service)) continue;
    if (granted) send({{"type", "subconnection_revoke"}, {"service", service}, {"reason", kDisabled}});
    revoked_[service] = hub_.now().mono;
  }
  if (given_back && granted) send_update();
}

void MainSession::send_update() {
  Json refused = Json::array();
  Json grants = make_grants(refused);
  send({{"type", "subconnection_update"}, {"grants", grants}});
}

void MainSession::microservices_changed() {
  if (ended_.empty() && grants_issued_ms_ != 0) send_update();
}

void MainSession::drain(int retry_after_s, int spread_s) {
  send({{"type", "drain"}, {"retry_after_s", retry_after_s}, {"spread_s", spread_s}});
}

}  // namespace hawser::cloud
