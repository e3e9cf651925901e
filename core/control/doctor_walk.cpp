#include "core/control/doctor_walk.hpp"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "core/base/encoding.hpp"
#include "core/base/rfc3339.hpp"
#include "core/connection/answers.hpp"
#include "core/connection/url.hpp"
#include "core/control/text_layout.hpp"
#include "core/transport/proxy.hpp"
#include "core/transport/resolver.hpp"
#include "core/transport/tls_stream.hpp"

namespace hawser::control {
namespace {

using transport::StepLimit;
using transport::SystemTime;

constexpr std::chrono::seconds kClockSkewNamed{300};  // less is no lie: NTP corrects it

constexpr const char* kProxyAdvice =
    "this is the proxy's doing: check its host and port (cloud.proxy.url, or https_proxy), and its log";
constexpr const char* kSilentAdvice =
    "what listens there takes the connection but speaks no TLS: check the port, and the cloud's log";

std::string skew_words(std::chrono::seconds ahead) {
  const bool is_ahead = ahead.count() >= 0;
  return "this device's clock is " + duration(std::abs(ahead.count())) + (is_ahead ? " ahead of" : " behind") +
         " the cloud's";
}

std::string list_of(const std::vector<Poco::Net::IPAddress>& addresses) {
  std::string text;
  for (const auto& address : addresses) text += (text.empty() ? "" : ", ") + address.toString();
  return text;
}

}  // namespace

struct ServerWalk::Way {
  transport::Origin origin;  // the cloud's
  transport::Origin peer;    // what is dialled: the cloud, or the proxy
  bool by_proxy = false;
  transport::Egress egress;
};

transport::HttpRequest authentication_request(const config::Settings& settings, const std::string& proof) {
  auto body = json::make_object();
  body->set("serial", settings.serial);
  body->set("model", settings.model);
  body->set("agent", "hawser/" HAWSER_VERSION);
  if (!proof.empty()) body->set("proof", proof);
  transport::HttpRequest request;
  request.path = "/hawser/v1/auth";
  request.body = json::to_text(body);
  return request;
}

Greeting ServerWalk::walk(const connection::Target& target) {
  Greeting greeting;
  Way way;
  way.origin = {connection::canonical_host(target.domain), target.port};
  way.by_proxy = !transport::bypasses(settings_.proxy, way.origin.host);
  way.peer = way.by_proxy ? transport::Origin{settings_.proxy.host, settings_.proxy.port} : way.origin;
  clock_compared_ = false;
  const TimePoint began = Clock::now();
  auto egress = transport::Egress::find(target.binding);
  if (!egress) {
    report_.add("binding", "", began, egress.error(), "");
    return greeting;
  }
  way.egress = std::move(*egress);
  if (!(target.binding == Binding{})) report_.add("binding", "", began, ok(), "leaves" + way.egress.words());
  if (const auto addresses = look_up(way))
    for (const auto& address : *addresses) try_address(way, address, greeting);
  return greeting;
}

std::optional<std::vector<Poco::Net::IPAddress>> ServerWalk::look_up(const Way& way) {
  const TimePoint began = Clock::now();
  auto addresses = transport::resolve(way.peer.host, waker_, StepLimit(transport::kDnsLimit, deadline_), way.egress);
  Status status = ok();
  if (!addresses) status = addresses.error();
  std::string seen = addresses ? list_of(*addresses) : "";
  if (way.by_proxy) seen = "of the proxy " + way.peer.host + ": " + seen + "; the proxy looks up the cloud's name";
  if (transport::is_ip_literal(way.peer.host)) seen = "not needed: " + way.peer.host + " is an address";
  if (!report_.add("DNS", "", began, status, seen)) return std::nullopt;
  return std::move(*addresses);
}

// What the kernel would do with a packet; none is sent.
bool ServerWalk::look_for_route(const Way& way, const Poco::Net::IPAddress& address) {
  const TimePoint began = Clock::now();
  const Poco::Net::SocketAddress peer(address, way.peer.port);
  const Descriptor probe = way.egress.socket(peer.af(), SOCK_DGRAM);
  Status status = ok();
  std::string source;
  sockaddr_storage own{};
  socklen_t length = sizeof own;
  if (!probe || ::connect(probe.get(), peer.addr(), peer.length()) != 0)
    status = Error{"network_unreachable", std::string(std::strerror(errno)) + way.egress.words()};
  else if (::getsockname(probe.get(), reinterpret_cast<sockaddr*>(&own), &length) == 0)
    source = Poco::Net::SocketAddress(reinterpret_cast<const sockaddr*>(&own), length).host().toString();
  return report_.add("route", address.toString(), began, status, "from " + source);
}

Result<transport::Connected> ServerWalk::connect(const Way& way, const Poco::Net::IPAddress& address) {
  return transport::connect_any({address}, way.peer.port, waker_, StepLimit(transport::kConnectLimit, deadline_),
                                way.egress);
}

void ServerWalk::try_address(const Way& way, const Poco::Net::IPAddress& address, Greeting& greeting) {
  const std::string name = address.toString();
  if (!look_for_route(way, address)) return;
  TimePoint began = Clock::now();
  auto connected = connect(way, address);
  Status status = ok();
  if (!connected) status = connected.error();
  if (!report_.add(way.by_proxy ? "TCP to proxy" : "TCP", name, began, status, "port " + std::to_string(way.peer.port)))
    return;
  if (way.by_proxy) {
    began = Clock::now();
    status = transport::ask_tunnel(*connected, settings_.proxy, way.origin, waker_,
                                   StepLimit(transport::kHttpLimit, deadline_));
    const std::string advice = status || status.error().code.starts_with("proxy_") ? "" : kProxyAdvice;
    if (!report_.add("proxy", name, began, status, "a tunnel to " + way.origin.text(), advice)) return;
  }
  dated_.reset();
  auto stream = secure(way, name, std::move(*connected));
  if (stream && greet(way, name, *stream, greeting)) {
    greeting.answered = true;
    return;
  }
  greeting.half_working.emplace_back(address, way.peer.port);
  if (!stream && dated_) look_behind_the_date(way, address, *dated_);
}

std::unique_ptr<transport::Stream> ServerWalk::secure(const Way& way, const std::string& address,
                                                      transport::Connected connected) {
  const TimePoint began = Clock::now();
  auto context = transport::TlsContext::make(way.origin.host, settings_.ca_file);
  Result<std::unique_ptr<transport::Stream>> stream = Error{"tls_failed", ""};
  if (!context) {
    stream = context.error();
  } else {
    const SystemTime checked_at = std::max(std::chrono::system_clock::now(), floor_);
    stream = transport::TlsStream::secure(std::move(connected), way.origin, **context, checked_at, waker_,
                                          StepLimit(transport::kTlsLimit, deadline_), [](auto) {});
    if (!stream && stream.error().code == "certificate_clock") dated_ = (*context)->note();
  }
  Status status = ok();
  if (!stream) status = stream.error();
  const std::string ends = stream ? rfc3339((*stream)->certificate_ends()) : "";
  const std::string advice = Clock::now() - began >= transport::kTlsLimit ? kSilentAdvice : "";
  if (!report_.add("TLS", address, began, status, "the certificate is for " + way.origin.host + ", until " + ends,
                   advice))
    return nullptr;
  return std::move(*stream);
}

// Asks without a proof: a cloud answers with the nonce that a proof needs (sdk/protocol.md §2).
bool ServerWalk::greet(const Way& way, const std::string& address, transport::Stream& stream, Greeting& greeting) {
  const TimePoint began = Clock::now();
  auto answer = transport::exchange(stream, waker_, way.origin, authentication_request(settings_, ""), deadline_);
  Status status = ok();
  if (!answer) {
    status = answer.error();
  } else if (const auto nonce = connection::nonce_of(*answer); answer->status == 401 && nonce) {
    greeting.nonce = *nonce;
  } else if (auto judged = connection::judge_authentication(*answer); judged.verdict == connection::Verdict::Failed) {
    status = judged.setback.error;
  } else {
    status = Error{"bad_response", "HTTP " + std::to_string(answer->status) + " without a Hawser-Nonce"};
  }
  const bool good = report_.add("cloud", address, began, status, "a Hawser cloud answers");
  if (answer) compare_clock(*answer);
  return good;
}

void ServerWalk::compare_clock(const transport::HttpAnswer& answer) {
  const auto date = connection::date_of(answer);
  if (clock_compared_ || !date) return;
  clock_compared_ = true;
  const auto ahead = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now() - *date);
  DoctorStep step;
  step.name = "clock";
  step.detail = "within " + std::to_string(std::abs(ahead.count())) + " s of the cloud's";
  if (std::abs(ahead.count()) >= kClockSkewNamed.count()) {
    step.found = Found::Failed;
    step.code = "certificate_clock";
    step.detail = skew_words(ahead);
    step.advice = "set this device's clock (timedatectl set-ntp true, or date -s)";
  }
  report_.add(std::move(step));
}

// A certificate that has expired, or a clock that is far ahead? The chain and the name are verified once more as of a
// day on which the certificate was valid, only to read the Date of the answer. Nothing secret is sent.
void ServerWalk::look_behind_the_date(const Way& way, const Poco::Net::IPAddress& address,
                                      const transport::VerifyNote& note) {
  if (note.not_after <= note.not_before) return;
  auto connected = connect(way, address);
  auto context = transport::TlsContext::make(way.origin.host, settings_.ca_file);
  if (!connected || !context) return;
  if (way.by_proxy && !transport::ask_tunnel(*connected, settings_.proxy, way.origin, waker_,
                                             StepLimit(transport::kHttpLimit, deadline_)))
    return;
  const SystemTime middle = note.not_before + (note.not_after - note.not_before) / 2;
  auto stream = transport::TlsStream::secure(std::move(*connected), way.origin, **context, middle, waker_,
                                             StepLimit(transport::kTlsLimit, deadline_), [](auto) {});
  if (!stream) return;
  auto answer = transport::exchange(**stream, waker_, way.origin, authentication_request(settings_, ""), deadline_);
  const auto date = answer ? connection::date_of(*answer) : std::nullopt;
  if (date && *date >= note.not_before && *date <= note.not_after) return compare_clock(*answer);
  DoctorStep step;
  step.name = "clock";
  step.found = Found::Skipped;
  step.detail = "cannot be compared: no server with a valid certificate tells its time";
  if (date) report_.add(std::move(step));
}

}  // namespace hawser::control
