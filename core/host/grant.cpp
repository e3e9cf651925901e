#include "core/host/grant.hpp"

#include <algorithm>
#include <charconv>

namespace hawser::host {
namespace {

constexpr std::size_t kUrlBytesMax = 2048;
constexpr std::size_t kTokenBytesMax = 8192;
constexpr std::int64_t kExpiryMax = 365 * 24 * 3600;
constexpr std::int64_t kMessageBytesLeast = 1024;
constexpr std::int64_t kMessageBytesMost = 64 * 1024 * 1024;
constexpr std::int64_t kInFlightMessagesMost = 65'536;
constexpr std::int64_t kInFlightBytesMost = 64 * 1024 * 1024;
constexpr std::int64_t kPingLeast = 5;
constexpr std::int64_t kPingMost = 600;

Error bad_grant(const std::string& what) { return {"bad_response", "grant: " + what}; }

bool is_visible_ascii(const std::string& text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

Status read_authority(const std::string& authority, transport::Origin& origin) {
  if (authority.empty() || authority.find('@') != std::string::npos)
    return bad_grant("url: a host without user is due");
  std::size_t end = authority.find(':');
  if (authority[0] == '[') {
    end = authority.find(']');
    if (end == std::string::npos) return bad_grant("url: a bracket is not closed");
    origin.host = authority.substr(1, end - 1);
    ++end;
  } else {
    origin.host = authority.substr(0, end);
  }
  if (origin.host.empty()) return bad_grant("url: the host is empty");
  if (end == std::string::npos || end == authority.size()) return ok();
  const char* const last = authority.data() + authority.size();
  const auto [rest, fault] = std::from_chars(authority.data() + end + 1, last, origin.port);
  if (authority[end] != ':' || fault != std::errc{} || rest != last || origin.port == 0)
    return bad_grant("url: the port is no number from 1 to 65535");
  return ok();
}

Status read_url(Grant& grant) {
  constexpr std::string_view kScheme = "wss://";
  if (grant.url.rfind(kScheme, 0) != 0) return bad_grant("url: only wss is dialled");
  if (!is_visible_ascii(grant.url)) return bad_grant("url: a character that has no place in a URL");
  if (grant.url.find('#') != std::string::npos) return bad_grant("url: a fragment has no place here");
  const std::size_t slash = grant.url.find_first_of("/?", kScheme.size());
  const std::string authority = grant.url.substr(kScheme.size(), slash - kScheme.size());
  grant.path = slash == std::string::npos ? "/" : grant.url.substr(slash);
  if (grant.path[0] == '?') grant.path.insert(0, "/");
  return read_authority(authority, grant.origin);
}

Status read_binding(const json::Object& object, Binding& binding) {
  const auto member = json::object_member(object, "binding");
  if (!member) return ok();
  const std::string version = json::text_or(*member, "ip_version", "any");
  if (version != "any" && version != "4" && version != "6") return bad_grant("binding: ip_version is any, 4 or 6");
  binding.ip_version = version == "4" ? IpVersion::V4 : version == "6" ? IpVersion::V6 : IpVersion::Any;
  binding.vpn_instance = json::text_or(*member, "vpn_instance");
  binding.source_ip = json::text_or(*member, "source_ip");
  return ok();
}

}  // namespace

Result<Grant> read_grant(const json::Object& object, TimePoint now) {
  Grant grant;
  for (const auto& [name, target, most] :
       {std::tuple{"service", &grant.service, json::kIdBytesMax},
        std::tuple{"protocol", &grant.protocol, json::kIdBytesMax}, std::tuple{"url", &grant.url, kUrlBytesMax},
        std::tuple{"token", &grant.token, kTokenBytesMax}}) {
    auto text = json::text_member(object, name, 1, most);
    if (!text) return bad_grant(std::string(name) + ": text of 1 to " + std::to_string(most) + " bytes is due");
    *target = std::move(*text);
  }
  if (!is_visible_ascii(grant.token)) return bad_grant("token: a character that has no place in a header");
  if (!is_visible_ascii(grant.protocol)) return bad_grant("protocol: a character that has no place in a header");
  if (auto read = read_url(grant); !read) return read.error();
  if (auto read = read_binding(object, grant.binding); !read) return read.error();
  const auto expires_in = json::integer_member(object, "expires_in", 1);
  if (!expires_in) return expires_in.error().with_context("grant");
  grant.expires = now + std::chrono::seconds(std::min(*expires_in, kExpiryMax));

  // A cloud that grants more than a device can hold is taken at what it can: refusing it would stop the service.
  const auto message_bytes = json::integer_member(object, "max_message_bytes", kMessageBytesLeast);
  if (!message_bytes) return message_bytes.error().with_context("grant");
  const auto messages = json::integer_member(object, "max_in_flight_messages", 1);
  if (!messages) return messages.error().with_context("grant");
  const auto bytes = json::integer_member(object, "max_in_flight_bytes", kMessageBytesLeast);
  if (!bytes) return bytes.error().with_context("grant");
  const auto ping = json::integer_member(object, "ping_s", 1, 24 * 3600);
  if (!ping) return ping.error().with_context("grant");
  grant.limits.message_bytes = static_cast<std::size_t>(std::min(*message_bytes, kMessageBytesMost));
  grant.limits.in_flight_messages = static_cast<std::uint64_t>(std::min(*messages, kInFlightMessagesMost));
  grant.limits.in_flight_bytes = static_cast<std::uint64_t>(std::min(*bytes, kInFlightBytesMost));
  grant.limits.ping = std::chrono::seconds(std::clamp(*ping, kPingLeast, kPingMost));
  return grant;
}

}  // namespace hawser::host
