#include <algorithm>
#include <map>
#include <optional>

#include "core/transport/connector.hpp"
#include "core/transport/proxy.hpp"
#include "core/transport/resolver.hpp"
#include "core/transport/stream.hpp"
#include "core/transport/tls_stream.hpp"

namespace hawser::transport {
namespace {

constexpr std::size_t kContextsMax = 16;  // hosts whose TLS settings and sessions are kept
constexpr std::size_t kHalfWorkingMax = 32;

}  // namespace

struct Dialer::Parts {
  DialSettings settings;
  Waker& waker;
  std::map<std::string, std::shared_ptr<TlsContext>> contexts;  // by host
  // Where TCP connected and nothing has been answered over TLS since, the longest ago first: the next dial begins with
  // the other addresses, so that none of these hides a working one (conn-18).
  std::vector<Poco::Net::SocketAddress> half_working;
  std::optional<Reached> last;

  Result<std::shared_ptr<TlsContext>> context_for(const std::string& host) {
    if (auto known = contexts.find(host); known != contexts.end()) return known->second;
    auto made = TlsContext::make(host, settings.ca_file);
    if (!made) return made.error();
    if (contexts.size() >= kContextsMax) contexts.clear();
    std::shared_ptr<TlsContext> context = std::move(*made);
    contexts.emplace(host, context);
    return context;
  }

  void suspect(const Poco::Net::SocketAddress& peer) {
    std::erase(half_working, peer);
    if (half_working.size() >= kHalfWorkingMax) half_working.erase(half_working.begin());
    half_working.push_back(peer);
  }

  void put_last(std::vector<Poco::Net::IPAddress>& addresses, std::uint16_t port) const {
    const auto rank = [&](const Poco::Net::IPAddress& address) {
      const auto found = std::find(half_working.begin(), half_working.end(), Poco::Net::SocketAddress(address, port));
      return found == half_working.end() ? 0 : 1 + (found - half_working.begin());
    };
    std::stable_sort(addresses.begin(), addresses.end(),
                     [&](const auto& one, const auto& other) { return rank(one) < rank(other); });
  }

  // Connects to `origin`, or to the proxy that is asked for a tunnel to it.
  Result<Connected> connect(const Origin& origin, const Egress& egress, TimePoint deadline,
                            const std::function<void(DialStep)>& progress) {
    if (bypasses(settings.proxy, origin.host)) return connect_to(origin, "", egress, deadline, progress);
    const Origin proxy{settings.proxy.host, settings.proxy.port};
    auto connected = connect_to(proxy, "proxy " + proxy.text() + ": ", egress, deadline, progress);
    if (!connected && connected.error().code == "connect_refused")  // the server's name stands for the server alone
      return Error{"proxy_refused", connected.error().message};
    if (!connected) return connected;
    if (Status tunnel = ask_tunnel(*connected, settings.proxy, origin, waker, StepLimit(kHttpLimit, deadline)); !tunnel)
      return tunnel.error();
    progress(DialStep::Proxied);
    return connected;
  }

  Result<Connected> connect_to(const Origin& peer, const std::string& who, const Egress& egress, TimePoint deadline,
                               const std::function<void(DialStep)>& progress) {
    const auto told = [&](const Error& error) { return Error{error.code, who + error.message + egress.words()}; };
    progress(DialStep::Resolving);
    auto addresses = resolve(peer.host, waker, StepLimit(kDnsLimit, deadline), egress);
    if (!addresses) return told(addresses.error());
    progress(DialStep::Resolved);
    put_last(*addresses, peer.port);
    progress(DialStep::Connecting);
    auto connected = connect_any(*addresses, peer.port, waker, StepLimit(kConnectLimit, deadline), egress);
    if (!connected) return told(connected.error());
    last = Reached{connected->peer, addresses->size()};
    progress(DialStep::Connected);
    return connected;
  }
};

std::string Origin::text() const {
  const bool bracket = host.find(':') != std::string::npos;
  return (bracket ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Dialer::Dialer(DialSettings settings, Waker& waker) : parts_(new Parts{std::move(settings), waker, {}, {}, {}}) {}
Dialer::~Dialer() = default;
const std::optional<Dialer::Reached>& Dialer::last_reached() const { return parts_->last; }
void Dialer::distrust_last() {
  if (parts_->last) parts_->suspect(parts_->last->peer);
}
void Dialer::distrust(const Poco::Net::SocketAddress& peer) { parts_->suspect(peer); }
Waker& Dialer::waker() { return parts_->waker; }
void Dialer::set_validity_floor(SystemTime floor) { parts_->settings.validity_floor = floor; }

Result<std::unique_ptr<Stream>> Dialer::dial(const Origin& origin, TimePoint deadline,
                                             const std::function<void(DialStep)>& progress, const Binding& binding) {
  const auto tell = [&](DialStep step) {
    if (progress) progress(step);
  };
  parts_->last.reset();
  // First, so that an unusable ca_file is told without a packet on the wire.
  auto context = parts_->context_for(origin.host);
  if (!context) return context.error();
  auto egress = Egress::find(binding);
  if (!egress) return egress.error();
  auto connected = parts_->connect(origin, *egress, deadline, tell);
  if (!connected) return connected.error();
  const SystemTime checked_at = std::max(std::chrono::system_clock::now(), parts_->settings.validity_floor);
  const auto peer = connected->peer;
  const auto on_answer = [parts = std::weak_ptr(parts_), kept = std::weak_ptr(*context), port = origin.port,
                          peer](Poco::Net::Session::Ptr session) {
    if (const auto dialer = parts.lock()) std::erase(dialer->half_working, peer);
    if (const auto still = kept.lock(); still && session) still->keep_session(port, std::move(session));
  };
  auto stream = TlsStream::secure(std::move(*connected), origin, **context, checked_at, parts_->waker,
                                  StepLimit(kTlsLimit, deadline), on_answer);
  if (stream || stream.error().code != "cancelled") parts_->suspect(peer);  // until it answers
  if (stream) tell(DialStep::Secured);
  return stream;
}

}  // namespace hawser::transport
