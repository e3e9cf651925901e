#include <map>

#include "core/transport/connector.hpp"
#include "core/transport/resolver.hpp"
#include "core/transport/stream.hpp"
#include "core/transport/tls_stream.hpp"

namespace hawser::transport {
namespace {

constexpr std::size_t kContextsMax = 16;  // hosts whose TLS settings and sessions are kept

}  // namespace

struct Dialer::Parts {
  DialSettings settings;
  Waker& waker;
  std::map<std::string, std::shared_ptr<TlsContext>> contexts;  // by host

  Result<std::shared_ptr<TlsContext>> context_for(const std::string& host) {
    if (auto known = contexts.find(host); known != contexts.end()) return known->second;
    auto made = TlsContext::make(host, settings.ca_file);
    if (!made) return made.error();
    if (contexts.size() >= kContextsMax) contexts.clear();
    std::shared_ptr<TlsContext> context = std::move(*made);
    contexts.emplace(host, context);
    return context;
  }

  Result<Connected> connect(const Origin& origin, TimePoint deadline, const std::function<void(DialStep)>& progress) {
    progress(DialStep::Resolving);
    auto addresses = resolve(origin.host, waker, StepLimit(kDnsLimit, deadline));
    if (!addresses) return addresses.error();
    progress(DialStep::Resolved);
    progress(DialStep::Connecting);
    auto connected = connect_any(*addresses, origin.port, waker, StepLimit(kConnectLimit, deadline));
    if (connected) progress(DialStep::Connected);
    return connected;
  }
};

std::string Origin::text() const {
  const bool bracket = host.find(':') != std::string::npos;
  return (bracket ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Dialer::Dialer(DialSettings settings, Waker& waker) : parts_(new Parts{std::move(settings), waker, {}}) {}
Dialer::~Dialer() = default;
Waker& Dialer::waker() { return parts_->waker; }
void Dialer::set_validity_floor(SystemTime floor) { parts_->settings.validity_floor = floor; }

Result<std::unique_ptr<Stream>> Dialer::dial(const Origin& origin, TimePoint deadline,
                                             const std::function<void(DialStep)>& progress) {
  const auto tell = [&](DialStep step) {
    if (progress) progress(step);
  };
  // First, so that an unusable ca_file is told without a packet on the wire.
  auto context = parts_->context_for(origin.host);
  if (!context) return context.error();
  auto connected = parts_->connect(origin, deadline, tell);
  if (!connected) return connected.error();
  const SystemTime checked_at = std::max(std::chrono::system_clock::now(), parts_->settings.validity_floor);
  const auto keep = [kept = std::weak_ptr(*context), port = origin.port](Poco::Net::Session::Ptr session) {
    if (const auto still = kept.lock()) still->keep_session(port, std::move(session));
  };
  auto stream = TlsStream::secure(std::move(*connected), origin, **context, checked_at, parts_->waker,
                                  StepLimit(kTlsLimit, deadline), keep);
  if (stream) tell(DialStep::Secured);
  return stream;
}

}  // namespace hawser::transport
