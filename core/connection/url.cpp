#include "core/connection/url.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "core/base/encoding.hpp"

namespace hawser::connection {
namespace {

constexpr std::string_view kScheme = "wss://";
constexpr std::size_t kHostBytesMax = 253;

Error fault(std::string_view url, const std::string& what) {
  return {"bad_response", "url \"" + printable(url) + "\" " + what};
}

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
}

bool is_name(std::string_view host) {
  return !host.empty() && host.size() <= kHostBytesMax && std::all_of(host.begin(), host.end(), is_host_character) &&
         host.front() != '.' && host.front() != '-' && host.find("..") == host.npos;
}

bool is_ipv6(std::string_view host) {
  const auto fits = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == ':' || c == '.'; };
  return host.find(':') != host.npos && host.size() <= 45 && std::all_of(host.begin(), host.end(), fits);
}

std::optional<std::uint16_t> port_of(std::string_view text) {
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port == 0 || port > 65535) return std::nullopt;
  return static_cast<std::uint16_t>(port);
}

// Splits host and ":port", where an IPv6 literal stands in brackets.
bool split_authority(std::string_view authority, std::string& host, std::string_view& port) {
  const bool bracketed = authority.starts_with('[');
  const auto host_end = bracketed ? authority.find(']') : std::min(authority.find(':'), authority.size());
  if (host_end == authority.npos) return false;
  host = canonical_host(authority.substr(bracketed ? 1 : 0, bracketed ? host_end - 1 : host_end));
  if (bracketed ? !is_ipv6(host) : !is_name(host)) return false;
  const auto rest = authority.substr(bracketed ? host_end + 1 : host_end);
  if (!rest.empty() && (rest[0] != ':' || rest.size() == 1)) return false;
  port = rest.empty() ? rest : rest.substr(1);
  return true;
}

}  // namespace

std::string canonical_host(std::string_view domain) {
  if (domain.ends_with('.')) domain.remove_suffix(1);
  std::string host(domain);
  for (char& c : host) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return host;
}

Result<WssUrl> parse_wss_url(std::string_view url) {
  if (url.size() > kUrlBytesMax) return fault(url, "is longer than " + std::to_string(kUrlBytesMax) + " bytes");
  if (!url.starts_with(kScheme)) return fault(url, "is not wss://");
  if (std::any_of(url.begin(), url.end(), [](char c) { return c <= ' ' || c > '~' || c == '\\' || c == '"'; }))
    return fault(url, "has a character that no URL has");
  if (url.find('#') != url.npos) return fault(url, "has a fragment");
  if (url.find('?') != url.npos) return fault(url, "has a query");
  const auto rest = url.substr(kScheme.size());
  const auto slash = std::min(rest.find('/'), rest.size());
  const auto authority = rest.substr(0, slash);
  if (authority.find('@') != authority.npos) return fault(url, "has a user");
  WssUrl parsed;
  std::string_view port;
  if (!split_authority(authority, parsed.origin.host, port)) return fault(url, "has no host that could be dialled");
  if (!port.empty()) {
    const auto number = port_of(port);
    if (!number) return fault(url, "has no port of 1 to 65535");
    parsed.origin.port = *number;
  }
  parsed.path = slash == rest.size() ? "/" : std::string(rest.substr(slash));
  return parsed;
}

}  // namespace hawser::connection
