#include "core/transport/resolver.hpp"

#include <ares.h>
#include <arpa/inet.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <map>
#include <optional>

#include "core/transport/answer_parser.hpp"
#include "core/transport/hosts_file.hpp"
#include "core/transport/limits.hpp"

namespace hawser::transport {
namespace {

using Poco::Net::IPAddress;

constexpr int kServerTimeoutMs = 1500;  // for one answer of one name server
constexpr int kServerTries = 3;

// One family of one name. The two run side by side: a name server that swallows AAAA questions, and there are some,
// must not take the A answer with it.
struct Query {
  bool done = false;
  int status = ARES_SUCCESS;
  std::vector<IPAddress> found;
};

void note_answer(void* argument, int status, int, ares_addrinfo* answer) {
  auto& query = *static_cast<Query*>(argument);
  query.done = true;
  query.status = status;
  for (const ares_addrinfo_node* node = answer ? answer->nodes : nullptr; node; node = node->ai_next) {
    if (query.found.size() >= kAddressesMax) break;
    if (node->ai_family == AF_INET)
      query.found.emplace_back(&reinterpret_cast<const sockaddr_in*>(node->ai_addr)->sin_addr, sizeof(in_addr));
    if (node->ai_family == AF_INET6) {
      const auto* address = reinterpret_cast<const sockaddr_in6*>(node->ai_addr);
      query.found.emplace_back(&address->sin6_addr, sizeof(in6_addr), address->sin6_scope_id);
    }
  }
  if (answer) ares_freeaddrinfo(answer);
}

// A c-ares channel for one look-up, so that a changed resolv.conf counts at once and nothing is cached.
// Its sockets are made inside ares_getaddrinfo and ares_process_fd: the thread visits the namespace around both.
class Lookup {
 public:
  explicit Lookup(const Egress& egress) : egress_(egress) {}
  ~Lookup() {
    if (channel_) ares_destroy(channel_);  // calls back for what is unfinished: the queries are destroyed after it
  }

  int start(const std::string& host, const std::string& servers) {
    [[maybe_unused]] static const int library = ares_library_init(ARES_LIB_INIT_ALL);
    ares_options options{};
    options.timeout = kServerTimeoutMs;
    options.tries = kServerTries;
    // The hosts file, then the name servers; a namespace's own hosts file has been read already.
    char order[] = "fb", servers_only[] = "b";
    options.lookups = has_own_hosts(egress_) ? servers_only : order;
    std::string resolv_conf = egress_.names_folder() + "/resolv.conf";
    const bool own_servers = !egress_.names_folder().empty() && ::access(resolv_conf.c_str(), F_OK) == 0;
    options.resolvconf_path = resolv_conf.data();
    options.sock_state_cb = &Lookup::note_socket;
    options.sock_state_cb_data = this;
    const int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS | ARES_OPT_SOCK_STATE_CB |
                     (own_servers ? ARES_OPT_RESOLVCONF : 0);
    if (const int status = ares_init_options(&channel_, &options, mask); status != ARES_SUCCESS) return status;
    ares_set_socket_configure_callback(channel_, &Lookup::bind_socket, this);
    if (!servers.empty()) {
      if (const int status = ares_set_servers_ports_csv(channel_, servers.c_str()); status != ARES_SUCCESS)
        return status;
    }
    ask(host, AF_INET6, v6);
    ask(host, AF_INET, v4);
    return ARES_SUCCESS;
  }

  // One wait and the work that it brought.
  Waited turn(Waker& waker, TimePoint until) {
    timeval longest{3600, 0}, next{};
    if (const timeval* due = ares_timeout(channel_, &longest, &next))
      until =
          std::min(until, Clock::now() + std::chrono::seconds(due->tv_sec) + std::chrono::microseconds(due->tv_usec));
    std::vector<pollfd> descriptors;
    for (const auto& [socket, events] : sockets_) descriptors.push_back({socket, events, 0});
    const Waited waited = wait_ready(waker, descriptors, until);
    if (waited != Waited::Ready) {
      if (waited == Waited::TimedOut) process(ARES_SOCKET_BAD, ARES_SOCKET_BAD);
      return waited;
    }
    for (const pollfd& ready : descriptors) {
      if (ready.revents == 0 || !sockets_.contains(ready.fd)) continue;
      const bool broken = (ready.revents & (POLLERR | POLLHUP)) != 0;
      process(broken || (ready.revents & POLLIN) ? ready.fd : ARES_SOCKET_BAD,
              ready.revents & POLLOUT ? ready.fd : ARES_SOCKET_BAD);
    }
    return waited;
  }

  Query v6, v4;

 private:
  void ask(const std::string& host, int family, Query& query) {
    query.done = !egress_.allows(family);
    if (query.done) return;
    const NamespaceVisit visit(egress_.namespace_fd());
    if (visit.error() != 0) {
      query = {true, ARES_ECONNREFUSED, {}};
      return;
    }
    ares_addrinfo_hints hints{};
    hints.ai_family = family;
    hints.ai_socktype = SOCK_STREAM;
    ares_getaddrinfo(channel_, host.c_str(), nullptr, &hints, &note_answer, &query);
  }

  void process(ares_socket_t readable, ares_socket_t writable) {
    const NamespaceVisit visit(egress_.namespace_fd());
    if (visit.error() == 0) ares_process_fd(channel_, readable, writable);
  }

  static int bind_socket(ares_socket_t socket, int, void* self) {
    int family = 0;
    socklen_t size = sizeof family;
    if (::getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &family, &size) != 0) return -1;
    return static_cast<Lookup*>(self)->egress_.bind(socket, family) == 0 ? 0 : -1;
  }

  static void note_socket(void* self, ares_socket_t socket, int readable, int writable) {
    auto& sockets = static_cast<Lookup*>(self)->sockets_;
    if (!readable && !writable) {
      sockets.erase(socket);
      return;
    }
    sockets[socket] = static_cast<short>((readable ? POLLIN : 0) | (writable ? POLLOUT : 0));
  }

  const Egress& egress_;
  std::map<int, short> sockets_;
  ares_channel channel_ = nullptr;
};

std::vector<IPAddress> interleave(const std::vector<IPAddress>& first, const std::vector<IPAddress>& second) {
  std::vector<IPAddress> all;
  for (std::size_t i = 0; i < std::max(first.size(), second.size()); ++i) {
    if (i < first.size()) all.push_back(first[i]);
    if (i < second.size()) all.push_back(second[i]);
  }
  return all;
}

bool is_localhost(const std::string& name) {
  const std::string small = lower(name);
  return small == "localhost" || small.ends_with(".localhost");
}

int family_of(const IPAddress& address) { return address.family() == IPAddress::IPv4 ? AF_INET : AF_INET6; }

std::vector<IPAddress> allowed(const std::vector<IPAddress>& addresses, const Egress& egress) {
  std::vector<IPAddress> kept;
  for (const IPAddress& address : addresses)
    if (egress.allows(family_of(address))) kept.push_back(address);
  return kept;
}

Error other_family(const std::string& host, const Egress& egress) {
  const char* wanted = egress.allows(AF_INET) ? "IPv4" : "IPv6";
  return {"dns_failed", host + " is no " + wanted + " address, and the binding allows only " + wanted +
                            ": change the server's domain or its ip_version or source_ip"};
}

Error not_found(const std::string& host, const Lookup& lookup, const Egress& egress) {
  // The answer that says more: "no such name" of one family beats "no data" of the other.
  const int status = lookup.v4.status != ARES_SUCCESS ? lookup.v4.status : lookup.v6.status;
  const bool nothing = status == ARES_ENOTFOUND || status == ARES_ENODATA || status == ARES_SUCCESS;
  if (nothing && egress.allows(AF_INET) != egress.allows(AF_INET6))
    return {"dns_failed", std::string("no ") + (egress.allows(AF_INET) ? "IPv4" : "IPv6") + " address found: " + host +
                              ": check the server's domain, its ip_version and source_ip"};
  if (nothing) return {"dns_failed", "name not found: " + host + ": check the server's domain"};
  return {"dns_failed", host + ": " + ares_strerror(status) + ": check the name servers of this device"};
}

}  // namespace

bool is_ip_literal(const std::string& host) {
  in6_addr bytes{};
  return ::inet_pton(AF_INET, host.c_str(), &bytes) == 1 || ::inet_pton(AF_INET6, host.c_str(), &bytes) == 1;
}

Result<std::vector<IPAddress>> resolve(const std::string& host, Waker& waker, const StepLimit& limit,
                                       const Egress& egress, const std::string& servers) {
  if (is_ip_literal(host)) {
    auto literal = allowed({IPAddress(host)}, egress);
    if (literal.empty()) return other_family(host, egress);
    return literal;
  }
  // RFC 6761 §6.3: never a question to a name server. (c-ares 1.18 leaks a little for each of these, too.)
  if (is_localhost(host)) return allowed({IPAddress("::1"), IPAddress("127.0.0.1")}, egress);
  if (has_own_hosts(egress)) {
    auto known = from_own_hosts(host, egress);
    if (!known) return known.error();
    if (auto usable = allowed(*known, egress); !usable.empty()) return usable;
  }
  Lookup lookup(egress);
  if (const int status = lookup.start(host, servers); status != ARES_SUCCESS)
    return Error{"dns_failed", host + ": the resolver cannot start: " + ares_strerror(status)};
  std::optional<TimePoint> grace;  // once one family has answered
  while (!lookup.v6.done || !lookup.v4.done) {
    const bool have_some = !lookup.v6.found.empty() || !lookup.v4.found.empty();
    if (have_some && !grace) grace = Clock::now() + kResolutionDelay;
    if (grace && Clock::now() >= *grace) break;
    const Waited waited = lookup.turn(waker, std::min(limit.at, grace.value_or(limit.at)));
    if (waited == Waited::Cancelled) return cancelled_error("the look-up");
    if (!grace && limit.passed())
      return limit.error("dns_failed", host + ": no answer from the name servers: check that they can be reached");
  }
  std::vector<IPAddress> all = interleave(lookup.v6.found, lookup.v4.found);
  if (all.size() > kAddressesMax) all.erase(all.begin() + kAddressesMax, all.end());
  if (all.empty()) return not_found(host, lookup, egress);
  return all;
}

}  // namespace hawser::transport
