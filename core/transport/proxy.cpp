#include "core/transport/proxy.hpp"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>

#include "core/base/encoding.hpp"
#include "core/transport/answer_parser.hpp"
#include "core/transport/resolver.hpp"

namespace hawser::transport {
namespace {

using Poco::Net::IPAddress;

constexpr std::size_t kSampleBytes = 120;
constexpr int kInterimMax = 4;  // 1xx answers before the real one

// tinyproxy answers 407 where credentials are missing, and 401 where they are wrong; before the tunnel stands both
// speak for the proxy alone.
bool asks_for_credentials(int status) { return status == 407 || status == 401; }

std::string name_of(const Proxy& proxy) { return "proxy " + Origin{proxy.host, proxy.port}.text(); }

bool is_in_range(const IPAddress& address, const std::string& rule) {
  const std::size_t slash = rule.find('/');
  IPAddress base;
  if (slash == std::string::npos || !IPAddress::tryParse(rule.substr(0, slash), base)) return false;
  unsigned length = 0;
  const char* const last = rule.data() + rule.size();
  const auto [end, fault] = std::from_chars(rule.data() + slash + 1, last, length);
  if (fault != std::errc{} || end != last || base.family() != address.family() || length > base.length() * 8U)
    return false;
  const IPAddress mask(length, base.family());
  return (address & mask) == (base & mask);
}

bool matches(const std::string& host, std::string rule) {
  if (rule == "*") return true;
  IPAddress address, other;
  if (IPAddress::tryParse(host, address))
    return (IPAddress::tryParse(rule, other) && address == other) || is_in_range(address, rule);
  if (rule.starts_with("*.")) rule.erase(0, 1);
  if (rule.starts_with('.')) rule.erase(0, 1);
  rule = lower(rule);
  std::string name = lower(host);
  if (name.ends_with('.')) name.pop_back();
  return !rule.empty() && (name == rule || name.ends_with("." + rule));
}

Result<std::string> request_for(const Proxy& proxy, const Origin& origin) {
  const std::string target = origin.text();
  if (!std::all_of(target.begin(), target.end(), [](char c) { return c > ' ' && c < 0x7F; }))
    return Error{"bad_request", "a request to " + printable(target) + " would carry control characters"};
  std::string text =
      "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\nUser-Agent: hawser/" HAWSER_VERSION "\r\n";
  if (!proxy.user.empty())
    text += "Proxy-Authorization: Basic " + base64(proxy.user + ":" + proxy.password) + "\r\n";  // RFC 7617
  return text + "\r\n";
}

// One CONNECT. Lives on the stack of ask_tunnel().
class Asking {
 public:
  Asking(int socket, std::string who, Waker& waker, const StepLimit& limit)
      : socket_(socket), who_(std::move(who)), waker_(waker), limit_(limit) {}

  Status send(std::string_view text) {
    while (!text.empty()) {
      const ssize_t sent = ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent > 0) text.remove_prefix(static_cast<std::size_t>(sent));
      if (sent < 0 && errno != EAGAIN && errno != EINTR) return broken();
      if (text.empty()) break;
      if (Status ready = wait(POLLOUT); !ready) return ready;
    }
    return ok();
  }

  // The status line and headers of the next answer, without the empty line behind them.
  Result<std::string> head() {
    std::string head;
    for (;;) {
      std::array<char, 4096> buffer;
      const ssize_t seen = ::recv(socket_, buffer.data(), buffer.size(), MSG_PEEK | MSG_DONTWAIT);
      if (seen == 0)
        return refused(head.empty() ? "ended the connection without an answer" : "ended its answer too early", head);
      if (seen < 0 && errno != EAGAIN && errno != EINTR) return broken();
      if (seen < 0) {
        if (Status ready = wait(POLLIN); !ready) return ready.error();
        continue;
      }
      // Only what belongs to the answer is taken off the socket.
      const std::size_t before = head.size();
      head.append(buffer.data(), static_cast<std::size_t>(seen));
      const std::size_t end = head.find("\r\n\r\n", before < 3 ? 0 : before - 3);
      const bool complete = end != std::string::npos;
      if (complete) head.resize(end + 4);
      if (::recv(socket_, buffer.data(), head.size() - before, MSG_DONTWAIT) < 0) return broken();
      if (head.size() > kHeaderBytesMax) return refused("answered with more than 16 KiB of headers", head);
      if (complete) return head.substr(0, end);
    }
  }

  Error refused(const std::string& what, const std::string& sample = {}) const {
    return {"proxy_refused",
            who_ + " " + what + (sample.empty() ? "" : ": \"" + printable(sample, kSampleBytes) + "\"")};
  }

 private:
  Error broken() const { return refused(std::string("broke the connection off: ") + std::strerror(errno)); }

  Status wait(int events) {
    pollfd ready{socket_, static_cast<short>(events), 0};
    const Waited waited = wait_ready(waker_, std::span(&ready, 1), limit_.at);
    if (waited == Waited::Cancelled) return cancelled_error("asking the proxy");
    if (waited == Waited::TimedOut) return limit_.error("http_timeout", who_ + " did not answer CONNECT");
    return ok();
  }

  const int socket_;
  const std::string who_;
  Waker& waker_;
  const StepLimit& limit_;
};

// "HTTP/1.1 200 Connection established", also of HTTP/1.0, which many proxies speak.
std::optional<int> status_of(const std::string& head) {
  const std::string line = head.substr(0, head.find("\r\n"));
  constexpr std::size_t kStatusAt = 9, kStatusEnd = 12;
  if (!line.starts_with("HTTP/1.0 ") && !line.starts_with("HTTP/1.1 ")) return std::nullopt;
  int status = 0;
  const auto [end, fault] = std::from_chars(line.data() + kStatusAt, line.data() + line.size(), status);
  const bool three = end == line.data() + kStatusEnd && (line.size() == kStatusEnd || *end == ' ');
  return fault == std::errc{} && three && status >= 100 ? std::optional(status) : std::nullopt;
}

Error wants_credentials(const Proxy& proxy, int status, const std::string& head) {
  const std::string small = lower(head), code = " (" + std::to_string(status) + "): ";
  std::string what = " refuses user " + printable(proxy.user) + code + "check user and password of the proxy";
  if (proxy.user.empty()) what = " asks for a user and a password" + code + "set them with the proxy";
  if (small.find("proxy-authenticate:") != std::string::npos && small.find("basic") == std::string::npos)
    what = " asks for another kind of credentials than Basic" + code + "let it accept Basic";
  return {"proxy_auth_required", name_of(proxy) + what};
}

}  // namespace

bool bypasses(const Proxy& proxy, const std::string& host) {
  return proxy.host.empty() || std::any_of(proxy.no_proxy.begin(), proxy.no_proxy.end(),
                                           [&](const std::string& rule) { return matches(host, rule); });
}

Status ask_tunnel(const Connected& connected, const Proxy& proxy, const Origin& origin, Waker& waker,
                  const StepLimit& limit) {
  const auto request = request_for(proxy, origin);
  if (!request) return request.error();
  Asking asking(connected.socket.get(), name_of(proxy), waker, limit);
  if (Status sent = asking.send(*request); !sent) return sent;
  for (int answers = 0; answers <= kInterimMax; ++answers) {
    const auto head = asking.head();
    if (!head) return head.error();
    const auto status = status_of(*head);
    if (!status) return asking.refused("gave no HTTP answer", *head);
    if (*status < 200) continue;
    if (*status < 300) return ok();
    if (asks_for_credentials(*status)) return wants_credentials(proxy, *status, *head);
    const std::string line = head->substr(0, head->find("\r\n"));
    return asking.refused("refused CONNECT to " + origin.text() + " with " + printable(line.substr(9), kSampleBytes) +
                          ": allow it there, or add the name to no_proxy");
  }
  return asking.refused("gave too many interim answers");
}

}  // namespace hawser::transport
