// The steps of an attempt, from DNS to the answer of the upgrade.
#include <spdlog/spdlog.h>

#include "core/connection/grants.hpp"
#include "core/connection/session.hpp"

namespace hawser::connection {
namespace {

constexpr std::size_t kMessageBytesMax = 256 * 1024;  // of the main connection
constexpr const char* kAuthPath = "/hawser/v1/auth";
constexpr const char* kRegisterPath = "/hawser/v1/register";

const char* process_state_of(transport::DialStep step) {
  switch (step) {
    case transport::DialStep::Resolving:
      return "DNS not parsed";
    case transport::DialStep::Resolved:
      return "DNS parsed";
    default:
      return "Message not sent";
  }
}

std::string register_body(const Shared& shared) {
  auto body = json::make_object();
  body->set("boot_id", shared.identity.boot_id);
  body->set("hostname", shared.settings.hostname);
  body->set("site", shared.settings.site);
  body->set("keepalive_s", static_cast<std::int64_t>(shared.settings.keepalive_interval.count()));
  body->set("keepalive_count", shared.settings.keepalive_count);
  body->set("ping_s", static_cast<std::int64_t>(shared.settings.ping_interval.count()));
  body->set("services", services_of(shared.offers));
  return json::to_text(body);
}

}  // namespace

Outcome Session::failed(Error error) {
  if (error.code == "cancelled") return shared_.interrupts.taken().value_or(Outcome::Changed);
  if (error.code == "http_timeout" && Clock::now() >= deadline_) error.code = "attempt_timeout";
  return refused(Outcome::Failed, {std::move(error), std::nullopt, false});
}

Outcome Session::refused(Outcome outcome, Setback setback) {
  setback_ = std::move(setback);
  // No cloud gives such an answer, whatever stands at this address: another one may be the cloud's.
  const std::string& code = setback_.error.code;
  const bool no_cloud = code == "bad_response" || code == "upgrade_refused";
  if (dialer_ && outcome == Outcome::Failed && no_cloud) dialer_->distrust_last();
  return outcome;
}

Result<std::unique_ptr<transport::Stream>> Session::open(const transport::Origin& origin) {
  const auto progress = [this](transport::DialStep step) {
    const char* process = process_state_of(step);
    if (shared_.board.seen().process_state != process) shared_.board.process(process);
  };
  if (!dialer_) {
    const config::Settings& settings = shared_.settings;
    dialer_ = std::make_unique<transport::Dialer>(
        transport::DialSettings{settings.ca_file, shared_.floor.value(), settings.proxy}, shared_.interrupts.waker());
  }
  auto stream = dialer_->dial(origin, deadline_, progress, present_->binding);
  const bool floor_used = std::chrono::system_clock::now() < shared_.floor.value();
  if (!stream) return stream;
  certificate_ends_ = (*stream)->certificate_ends();
  shared_.board.change([&](Snapshot& s) {
    s.server_address = (*stream)->peer_address();
    s.clock_floor_used = floor_used;
  });
  return stream;
}

Outcome Session::dial() {
  deadline_ = Clock::now() + shared_.limits.attempt;
  present_ = server_->target;
  stream_.reset();
  socket_.reset();
  shared_.board.change([&](Snapshot& s) {
    s.server_domain = server_->target.domain;
    s.authentication_port = server_->origin.port;
    s.connection_port = 0;
    s.server_address.clear();
  });
  auto stream = open(server_->origin);
  if (!stream) return failed(stream.error());
  stream_ = std::move(*stream);
  stream_used_ = false;
  const bool token_holds = !server_->token.empty() && Clock::now() < server_->token_until;
  return token_holds ? Outcome::ConnectedWithToken : Outcome::Connected;
}

// One stream serves as many exchanges as the server's keep-alive allows. A stream that was used before may have been
// closed by the server meanwhile: then the exchange is tried once more on a fresh one.
Result<transport::HttpAnswer> Session::exchange(const std::string& path, const std::string& bearer,
                                                const std::string& body) {
  for (;;) {
    if (!stream_) {
      auto stream = open(server_->origin);
      if (!stream) return stream.error();
      stream_ = std::move(*stream);
      stream_used_ = false;
    }
    const bool fresh = !std::exchange(stream_used_, true);
    const auto asked = reach_ids();
    shared_.board.process("Message sent");
    transport::HttpRequest request;
    request.path = path;
    request.bearer = bearer;
    request.body = body;
    auto answer = transport::exchange(*stream_, shared_.interrupts.waker(), server_->origin, request, deadline_);
    if (answer) {
      learn(*answer, asked);
      if (!answer->keep_alive) stream_.reset();
      return answer;
    }
    stream_.reset();
    shared_.board.process("Message not received");
    if (fresh || answer.error().code != "peer_closed") return answer;
  }
}

void Session::learn(const transport::HttpAnswer& answer, const std::vector<std::uint64_t>& asked) {
  shared_.board.process("Message received");
  if (const auto nonce = nonce_of(answer)) server_->nonce = *nonce;
  if (const auto date = date_of(answer)) {
    const bool moved = shared_.floor.learn(*date, certificate_ends_);
    dialer_->set_validity_floor(shared_.floor.value());
    const auto ahead = std::chrono::duration_cast<seconds>(std::chrono::system_clock::now() - *date);
    shared_.board.change([&](Snapshot& s) { s.clock_ahead = ahead; });
    if (moved) shared_.observer.on_validity_floor(shared_.floor.value());
  }
  // These come from a cloud that is there (sdk/protocol.md §6, hawser.config.v1).
  if (answer.status != 401 && answer.status != 429 && answer.status != 503) return;
  for (const auto id : asked) {
    shared_.observer.on_reached(id, "http_" + std::to_string(answer.status));
    std::erase_if(shared_.reach, [&](const Reach& r) { return r.id == id; });
  }
}

std::vector<std::uint64_t> Session::reach_ids() {
  std::vector<std::uint64_t> ids;
  for (const Reach& reach : shared_.reach) ids.push_back(reach.id);
  return ids;
}

Outcome Session::authenticate() {
  auto body = json::make_object();
  body->set("serial", shared_.settings.serial);
  body->set("model", shared_.settings.model);
  body->set("agent", "hawser/" + shared_.identity.agent_version);
  // The first proof spends the nonce, whatever comes of it. Without one the answer brings one.
  const std::string nonce = std::exchange(server_->nonce, {});
  if (!nonce.empty()) {
    const auto proof = make_proof(key_, shared_.settings.serial, server_->origin.host, nonce,
                                  password_of(shared_.settings, shared_.dhcp));
    if (!proof) return failed(proof.error());
    body->set("proof", *proof);
  }
  const auto answer = exchange(kAuthPath, "", json::to_text(body));
  if (!answer) return failed(answer.error());
  auto judged = judge_authentication(*answer);
  switch (judged.verdict) {
    case Verdict::Accepted:
      fresh_token_ = *judged.content;
      return Outcome::Authenticated;
    case Verdict::NonceRequired:
      if (server_->nonce.empty())
        return failed({"bad_response", "HTTP 401 nonce_required without a well-formed Hawser-Nonce"});
      return refused(Outcome::NonceRequired, std::move(judged.setback));
    default:
      return refused(Outcome::Failed, std::move(judged.setback));
  }
}

Outcome Session::keep_token() {
  server_->token = fresh_token_.token;
  server_->token_until = Clock::now() + fresh_token_.expires_in;
  if (fresh_token_.newly_bound) spdlog::info("main connection: the cloud has bound this device to its key");
  return Outcome::TokenKept;
}

Outcome Session::register_device() {
  const auto answer = exchange(kRegisterPath, server_->token, register_body(shared_));
  if (!answer) return failed(answer.error());
  auto judged = judge_registration(*answer);
  if (judged.verdict == Verdict::TokenRefused) {
    server_->token.clear();
    return refused(Outcome::TokenRefused, std::move(judged.setback));
  }
  if (judged.verdict != Verdict::Accepted) return refused(Outcome::Failed, std::move(judged.setback));
  registration_ = *judged.content;
  return Outcome::Registered;
}

Outcome Session::dial_connection() {
  stream_.reset();
  shared_.board.change([&](Snapshot& s) { s.connection_port = registration_.url.origin.port; });
  auto stream = open(registration_.url.origin);
  if (!stream) return failed(stream.error());
  stream_ = std::move(*stream);
  return Outcome::Secured;
}

Outcome Session::upgrade() {
  transport::UpgradeRequest request;
  request.origin = registration_.url.origin;
  request.path = registration_.url.path;
  request.protocol = "hawser.main.v1";
  request.bearer = server_->token;
  request.message_bytes_max = kMessageBytesMax;
  const auto asked = reach_ids();
  shared_.board.process("Message sent");
  auto result = transport::upgrade(std::move(stream_), shared_.interrupts.waker(), request, deadline_);
  stream_.reset();
  if (!result) {
    shared_.board.process("Message not received");
    return failed(result.error());
  }
  learn(result->answer, asked);
  if (result->socket) {
    socket_ = std::move(result->socket);
    return Outcome::Established;
  }
  auto judged = judge_upgrade(result->answer);
  if (judged.verdict == Verdict::TokenRefused) server_->token.clear();
  if (judged.verdict == Verdict::TokenRefused) return refused(Outcome::TokenRefused, std::move(judged.setback));
  const bool unknown = result->answer.status == 404 || result->answer.status == 410;
  return refused(unknown ? Outcome::NotRegistered : Outcome::Failed, std::move(judged.setback));
}

}  // namespace hawser::connection
