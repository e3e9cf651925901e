#include "core/control/doctor_cloud.hpp"

#include <algorithm>
#include <fstream>

#include "core/connection/answers.hpp"
#include "core/connection/url.hpp"
#include "core/control/ctl_support.hpp"
#include "core/control/text_layout.hpp"
#include "core/transport/websocket.hpp"

namespace hawser::control {
namespace {

constexpr std::size_t kMessageMax = 64 * 1024;  // none is ever taken

template <typename T>
Status status_of(const connection::Judged<T>& judged) {
  if (judged.verdict == connection::Verdict::Accepted) return ok();
  return judged.setback.error;
}

std::string boot_id() {
  std::string text;
  std::ifstream("/proc/sys/kernel/random/boot_id") >> text;
  return text.empty() ? "unknown" : text;
}

std::string registration_body(const config::Settings& settings) {
  auto body = json::make_object();
  body->set("boot_id", boot_id());
  body->set("hostname", settings.hostname);
  body->set("site", settings.site);
  body->set("keepalive_s", static_cast<Poco::Int64>(settings.keepalive_interval.count()));
  body->set("keepalive_count", settings.keepalive_count);
  body->set("ping_s", static_cast<Poco::Int64>(settings.ping_interval.count()));
  body->set("services", json::make_array());  // the agent tells its own when it registers
  return json::to_text(body);
}

}  // namespace

CloudWalk::CloudWalk(const CtlOptions& options, const config::Settings& settings, json::Object state, Waker& waker,
                     TimePoint deadline, DoctorReport& report)
    : options_(options),
      settings_(settings),
      state_(std::move(state)),
      waker_(waker),
      deadline_(deadline),
      report_(report),
      dialer_({settings.ca_file, earliest_time(options), settings.proxy}, waker) {}

void CloudWalk::skip(const std::string& name, const std::string& why) {
  DoctorStep step;
  step.name = name;
  step.found = Found::Skipped;
  step.detail = why;
  report_.add(std::move(step));
}

void CloudWalk::walk(const connection::Target& target, const Greeting& greeting) {
  if (!state_) return skip("authentication", "needs an agent, and so do registration, upgrade and services");
  if (!greeting.answered) return skip("authentication", "no address of this server has answered");
  for (const auto& peer : greeting.half_working) dialer_.distrust(peer);  // their faults are told already
  const auto token = authenticate(target, greeting.nonce);
  if (!token) return;
  const std::string reason = reason_not_to_register();
  if (reason.empty()) return register_and_upgrade(target, *token);
  skip("registration", reason);
  upgrade_while_connected(target);
}

// A registration replaces the path of the one before and the list of services: it would disturb an agent that is
// connected, that registers just now, or whose subconnections outlived its main connection. What it did when the walk
// began may be minutes old.
std::string CloudWalk::reason_not_to_register() {
  const auto now = ask(options_, "state");
  if (!now) return "the agent does not say any more what it does: " + now.error().message;
  state_ = *now;
  if (json::text_or(state_, "cloud_connection_state") == "Established")
    return "the agent is connected: registered at " + local_time(json::text_or(state_, "connected_at"));
  const std::string device = json::text_or(state_, "device_state");
  if (device != "Idle" && device != "Connecting" && device.rfind("Request_auth", 0) != 0)
    return "the agent registers just now (" + device + ")";
  const auto rows = json::array_member(state_, "subconnections");
  for (std::size_t i = 0; rows && i < (*rows)->size(); ++i) {
    const auto row = json::object_at(*rows, i);
    if (row && json::text_or(*row, "state") == "ready")
      return "the subconnection " + json::text_or(*row, "service") + " still lives, and would be disturbed";
  }
  return "";
}

Result<transport::HttpAnswer> CloudWalk::post(const connection::Target& target, const transport::HttpRequest& request) {
  const transport::Origin origin{connection::canonical_host(target.domain), target.port};
  const TimePoint limit = std::min(deadline_, Clock::now() + transport::kAttemptLimit);
  auto stream = dialer_.dial(origin, limit, {}, target.binding);
  if (!stream) return stream.error();
  return transport::exchange(**stream, waker_, origin, request, limit);
}

std::optional<std::string> CloudWalk::authenticate(const connection::Target& target, const std::string& nonce) {
  const TimePoint began = Clock::now();
  auto args = one_argument("domain", target.domain);
  args->set("nonce", nonce);
  const auto signed_by_agent = ask(options_, "proof", args);
  if (!signed_by_agent) {
    skip("authentication", "the agent signs no proof: " + signed_by_agent.error().message);
    return std::nullopt;
  }
  auto body = json::make_object();
  for (const char* name : {"serial", "model", "agent", "proof"}) body->set(name, json::text_or(*signed_by_agent, name));
  auto request = authentication_request(settings_, "");
  request.body = json::to_text(body);
  const auto answer = post(target, request);
  Status status = ok();
  if (!answer) {
    status = answer.error();
    report_.add("authentication", "", began, status, "");
    return std::nullopt;
  }
  const auto judged = connection::judge_authentication(*answer);
  const bool good = report_.add("authentication", "", began, status_of(judged),
                                "serial number " + json::text_or(*signed_by_agent, "serial") + " is accepted");
  return good ? std::optional(judged.content->token) : std::nullopt;
}

void CloudWalk::register_and_upgrade(const connection::Target& target, const std::string& token) {
  const TimePoint began = Clock::now();
  transport::HttpRequest request;
  request.path = "/hawser/v1/register";
  request.bearer = token;
  request.body = registration_body(settings_);
  const auto answer = post(target, request);
  if (!answer) {
    report_.add("registration", "", began, answer.error(), "");
    return;
  }
  const auto judged = connection::judge_registration(*answer);
  if (!report_.add("registration", "", began, status_of(judged),
                   judged.content ? "connects at " + judged.content->url.origin.text() : ""))
    return;
  const auto& url = judged.content->url;
  try_upgrade("upgrade", "wss://" + url.origin.text() + url.path, "hawser.main.v1", target.binding);
}

void CloudWalk::upgrade_while_connected(const connection::Target& target) {
  const auto port = json::integer_member(state_, "cloud_server_connection_port", 1, 65535);
  const bool current = json::text_or(state_, "cloud_server_domain_name") == target.domain &&
                       json::integer_or(state_, "cloud_server_authentication_port", 0) == target.port;
  if (!port || !current) return skip("upgrade", "where to is told at a registration only");
  const transport::Origin origin{connection::canonical_host(target.domain), static_cast<std::uint16_t>(*port)};
  try_upgrade("upgrade", "wss://" + origin.text() + "/hawser/v1/connect/doctor", "hawser.main.v1", target.binding);
}

// At the address that the dial chose; where that one fails, at the others, too: they are the cloud's as well.
void CloudWalk::try_upgrade(const std::string& name, const std::string& url, const std::string& protocol,
                            const Binding& binding) {
  const auto parts = connection::parse_wss_url(url);
  if (!parts) {
    report_.add(name, "", Clock::now(), parts.error(), "");
    return;
  }
  transport::UpgradeRequest request;
  request.origin = parts->origin;
  request.path = parts->path;
  request.protocol = protocol;
  request.message_bytes_max = kMessageMax;
  std::vector<Poco::Net::SocketAddress> told;
  for (;;) {
    const TimePoint began = Clock::now();
    const auto status = ask_for_upgrade(request, binding);
    const auto& reached = dialer_.last_reached();
    if (!told.empty() && (!reached || std::find(told.begin(), told.end(), reached->peer) != told.end())) return;
    report_.add(name, reached ? reached->peer.host().toString() : "", began, status ? ok() : Status(status.error()),
                status ? *status : "");
    if (status || !reached) return;
    told.push_back(reached->peer);
    if (told.size() >= reached->addresses) return;
    dialer_.distrust_last();
  }
}

Result<std::string> CloudWalk::ask_for_upgrade(const transport::UpgradeRequest& request, const Binding& binding) {
  const TimePoint limit = std::min(deadline_, Clock::now() + transport::kAttemptLimit);
  auto stream = dialer_.dial(request.origin, limit, {}, binding);
  if (!stream) return stream.error();
  const auto result = transport::upgrade(std::move(*stream), waker_, request, limit);
  if (!result) return result.error();
  if (result->socket) return Error{"bad_response", "the server opens a connection to a device that shows no token"};
  const int code = result->answer.status;
  if (code != 401 && code != 404 && code != 410)
    return Error{"upgrade_refused", "HTTP " + std::to_string(code) + ", where 401 was due: no token was shown"};
  return "WebSocket comes through: HTTP " + std::to_string(code) +
         " without a token, as it must be; nothing was opened";
}

void CloudWalk::walk_services(const Binding& binding) {
  if (!state_) return;
  report_.begin("Services");
  const auto rows = json::array_member(state_, "subconnections");
  if (!rows || (*rows)->size() == 0) return skip("services", "the agent has none");
  for (std::size_t i = 0; i < (*rows)->size(); ++i) {
    const auto row = json::object_at(*rows, i);
    if (!row) continue;
    const std::string service = json::text_or(*row, "service"), url = json::text_or(*row, "url");
    if (url.empty())
      skip(service, "has no grant yet (" + json::text_or(*row, "state", "unknown state") + ")");
    else
      try_upgrade(service, url, json::text_or(*row, "protocol"), binding);
  }
}

}  // namespace hawser::control
