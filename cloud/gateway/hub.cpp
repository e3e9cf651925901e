#include "cloud/gateway/hub.hpp"

#include <spdlog/spdlog.h>

#include <set>

#include "cloud/gateway/main_session.hpp"
#include "cloud/gateway/proxied_subconnection.hpp"
#include "cloud/gateway/registration.hpp"
#include "cloud/gateway/subconnection.hpp"
#include "core/base/encoding.hpp"

namespace hawser::cloud {
namespace {

constexpr std::string_view kConnectPrefix = "/hawser/v1/connect/";
constexpr std::string_view kServicePrefix = "/hawser/v1/service/";
constexpr std::int64_t kCleanEveryMs = 10 * 60 * 1000;
constexpr int kDrainRetryAfterS = 5;

std::optional<Response> common_refusal(const Request& request) {
  if (request.method != "GET") return refusal(405, "method_not_allowed", "GET with an upgrade to WebSocket");
  // Devices send no Origin; a browser always does, and must not be lent a device's connection.
  if (request.has_origin) return refusal(400, "bad_request", "Origin is not accepted here");
  return std::nullopt;
}

}  // namespace

Hub::Hub(const Settings& settings, Store& store, Clock clock, std::function<void()> arm_commit, Dial dial)
    : settings_(settings),
      store_(store),
      clock_(std::move(clock)),
      dial_(std::move(dial)),
      authentication_(settings, store, nonces_, admission_, share_),
      commits_(store, std::move(arm_commit)),
      microservices_(first_services()) {
  store_.forget_connections(now().wall);
  seen_version_ = store_.data_version();
  seen_change_ = store_.last_change();
}

Hub::~Hub() = default;

const Microservice* Hub::microservice(const std::string& service) const {
  for (const auto& candidate : microservices_)
    if (candidate->service() == service) return candidate.get();
  return nullptr;
}

const VendorMicroservice* Hub::vendor_microservice(const std::string& service) const {
  for (const auto& candidate : settings_.microservices)
    if (candidate.service == service) return &candidate;
  return nullptr;
}

std::optional<std::string> Hub::protocol(const std::string& service) const {
  if (const auto* own = microservice(service)) return own->protocol();
  if (const auto* vendors = vendor_microservice(service)) return vendors->protocol;
  return std::nullopt;
}

Response Hub::handle(const Request& request, bool authentication_port) {
  const bool auth = request.path == "/hawser/v1/auth", registering = request.path == "/hawser/v1/register";
  if (!authentication_port || (!auth && !registering)) return refusal(404, "not_found", "nothing is here");
  Response response;
  if (request.method != "POST") {
    response = refusal(405, "method_not_allowed", "POST");
  } else if (draining_) {
    response = refusal(503, "unavailable", "this cloud is going down", kDrainRetryAfterS);
  } else {
    response = guarded_answer(request, auth);
  }
  response.nonce = nonces_.make(now().mono);  // whatever the answer is
  return response;
}

Response Hub::guarded_answer(const Request& request, bool auth) {
  try {
    if (auth) return authentication_.answer(request, now());
    return answer_registration(settings_, store_, registrations_, share_, request, now());
  } catch (const std::exception& error) {
    spdlog::error("{}: {}", request.path, error.what());
    return refusal(503, "unavailable", "the store does not answer", kDrainRetryAfterS);
  }
}

Upgrade Hub::upgrade(const Request& request) {
  Upgrade upgrade;
  if (draining_) {
    upgrade.refused = refusal(503, "unavailable", "this cloud is going down", kDrainRetryAfterS);
  } else if (request.path.starts_with(kConnectPrefix)) {
    upgrade = upgrade_main(request);
  } else if (request.path.starts_with(kServicePrefix)) {
    upgrade = upgrade_service(request, request.path.substr(kServicePrefix.size()));
  } else {
    upgrade.refused = refusal(404, "not_found", "nothing is here");
  }
  if (upgrade.refused && upgrade.refused->status == 401) upgrade.refused->nonce = nonces_.make(now().mono);
  return upgrade;
}

Result<Upload> Hub::begin_upload(const std::string& token) {
  if (draining_) return Error{"unavailable", "this cloud is going down"};
  return Upload::begin(settings_, store_, token, now().wall);
}

Result<std::string> Hub::plugin_bundle(const std::string& token) {
  if (draining_) return Error{"unavailable", "this cloud is going down"};
  const auto bundle = store_.plugin_bundle_at(token);
  if (!bundle) return Error{"not_found", "no plugin is here, or no longer"};
  return bundle->file;
}

Upgrade Hub::upgrade_main(const Request& request) {
  const auto refuse = [](Response response) { return Upgrade{std::move(response), {}, {}}; };
  if (auto refused = common_refusal(request)) return refuse(*refused);
  const Bearer bearer = bearer_of(store_, request.bearer, TokenKind::Connect, now());
  if (!bearer.device) return refuse(bearer.refused);
  if (bearer.device->connect_path.empty()) return refuse(refusal(410, "not_registered", "register first"));
  if (request.path.substr(kConnectPrefix.size()) != bearer.device->connect_path)
    return refuse(refusal(404, "not_found", "this path is not of the last registration; register again"));
  if (request.subprotocol != "hawser.main.v1")
    return refuse(refusal(400, "bad_request", "Sec-WebSocket-Protocol is not hawser.main.v1"));
  if (!request.upgrade) return refuse(refusal(400, "bad_request", "no upgrade to WebSocket"));
  return {std::nullopt, request.subprotocol, [this, device = *bearer.device, host = request.host](Peer& peer) {
            return std::make_shared<MainSession>(*this, peer, device, host);
          }};
}

Upgrade Hub::upgrade_service(const Request& request, const std::string& service) {
  const auto refuse = [](Response response) { return Upgrade{std::move(response), {}, {}}; };
  if (auto refused = common_refusal(request)) return refuse(*refused);
  if (!protocol(service)) return refuse(refusal(404, "not_found", "no such service"));
  const Bearer bearer = bearer_of(store_, request.bearer, TokenKind::Grant, now());
  if (!bearer.device) return refuse(bearer.refused);
  if (bearer.token->service != service)
    return refuse(refusal(401, "token_expired", "this grant is for another service; ask for a new list"));
  // A grant that was made while an operator took the service away may have outlived it.
  if (store_.disabled_services(bearer.device->serial).contains(service))
    return refuse(refusal(401, "token_expired", "an operator took this service from the device"));
  if (request.subprotocol != bearer.token->protocol)
    return refuse(refusal(400, "bad_request", "Sec-WebSocket-Protocol is not the grant's"));
  if (!request.upgrade) return refuse(refusal(400, "bad_request", "no upgrade to WebSocket"));
  return {std::nullopt, request.subprotocol, [this, token = *bearer.token](Peer& peer) { return serve(peer, token); }};
}

// A reload may have taken the service away since the request was read.
std::shared_ptr<Conversation> Hub::serve(Peer& peer, const TokenRecord& token) {
  if (const auto* own = microservice(token.service)) return std::make_shared<Subconnection>(*this, peer, token, *own);
  if (const auto* vendors = vendor_microservice(token.service))
    return std::make_shared<ProxiedSubconnection>(*this, peer, token, *vendors);
  throw std::runtime_error("service " + token.service + " is no longer in the configuration");
}

void Hub::entered(const std::shared_ptr<MainSession>& session) {
  auto& place = mains_[session->serial()];
  const auto old = std::exchange(place, session);
  if (!old) return;
  spdlog::warn("{}: a newer main connection from {} replaces the one from {}", session->serial(),
               session->peer().address(), old->peer().address());
  old->end(4009, "replaced", "by " + session->peer().address());
}

void Hub::entered(const std::shared_ptr<ServiceSession>& session) {
  auto& place = subconnections_[{session->serial(), session->service()}];
  const auto old = std::exchange(place, session);
  // What the old one received is stored before the new one is told what is stored.
  if (old) {
    commits_.flush(now());
    old->end(4009, "replaced");
  }
}

void Hub::left(MainSession& session) {
  const auto found = mains_.find(session.serial());
  if (found == mains_.end() || found->second.get() != &session) return;
  mains_.erase(found);
  close_disabled(session.serial());
}

void Hub::left(ServiceSession& session) {
  const auto found = subconnections_.find({session.serial(), session.service()});
  if (found != subconnections_.end() && found->second.get() == &session) subconnections_.erase(found);
}

std::vector<std::shared_ptr<ServiceSession>> Hub::subconnections_of(const std::string& serial) const {
  std::vector<std::shared_ptr<ServiceSession>> found;
  for (auto at = subconnections_.lower_bound({serial, ""}); at != subconnections_.end() && at->first.first == serial;
       ++at)
    found.push_back(at->second);
  return found;
}

void Hub::sessions_changed(const std::string& serial) {
  const auto found = mains_.find(serial);
  const auto main = found == mains_.end() ? nullptr : found->second;
  if (main) main->store_changed();
  for (const auto& session : subconnections_of(serial)) session->store_changed();
  if (!main) close_disabled(serial);
}

void Hub::close_disabled(const std::string& serial) {
  for (const std::string& service : store_.disabled_services(serial))
    close_subconnections(serial, 4012, "revoked", service);
}

void Hub::close_subconnections(const std::string& serial, int code, const std::string& reason,
                               const std::string& service) {
  for (const auto& session : subconnections_of(serial))
    if (service.empty() || session->service() == service) session->end(code, reason);
}

// Sessions may leave while they are called, so both loops run over a copy.
void Hub::tick() {
  const auto mains = mains_;
  for (const auto& [serial, session] : mains) session->tick(now());
  const auto subconnections = subconnections_;
  for (const auto& [key, session] : subconnections) session->tick(now());
  if (now().mono - cleaned_at_ < kCleanEveryMs) return;
  cleaned_at_ = now().mono;
  store_.clean(now().wall);
}

void Hub::poll_store() {
  const std::int64_t version = store_.data_version();
  if (version == seen_version_) return;
  seen_version_ = version;
  const auto changed = store_.changed_since(seen_change_);
  if (changed) {
    for (const std::string& serial : *changed) sessions_changed(serial);
    return;
  }
  std::set<std::string> connected;
  for (const auto& [serial, session] : mains_) connected.insert(serial);
  for (const auto& [key, session] : subconnections_) connected.insert(key.first);
  for (const std::string& serial : connected) sessions_changed(serial);
}

void Hub::drain(int retry_after_s, int spread_s) {
  draining_ = true;
  commits_.flush(now());
  const auto mains = mains_;
  for (const auto& [serial, session] : mains) session->drain(retry_after_s, spread_s);
  // In the same spread, so that not all of them dial at once.
  for (const auto& [key, session] : subconnections_)
    leaving_.emplace(
        now().mono + static_cast<std::int64_t>(random_below(static_cast<std::uint64_t>(spread_s) * 1000 + 1)), session);
  drain_step();
}

void Hub::drain_step() {
  const auto due = leaving_.upper_bound(now().mono);
  if (due == leaving_.begin()) return;
  commits_.flush(now());
  for (auto at = leaving_.begin(); at != due; at = leaving_.erase(at))
    if (const auto session = at->second.lock()) session->end(1012, "restarting");
}

void Hub::microservices_changed() {
  const auto subconnections = subconnections_;
  for (const auto& [key, session] : subconnections) session->settings_changed();
  const auto mains = mains_;
  for (const auto& [serial, session] : mains) session->microservices_changed();
}

void Hub::close_all(int code, const std::string& reason) {
  commits_.flush(now());
  const auto mains = mains_;
  for (const auto& [serial, session] : mains) session->end(code, reason);
  const auto subconnections = subconnections_;
  for (const auto& [key, session] : subconnections) session->end(code, reason);
}

}  // namespace hawser::cloud
