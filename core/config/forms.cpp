#include "core/config/forms.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <cctype>
#include <string_view>

#include "core/base/encoding.hpp"

namespace hawser::config {
namespace {

constexpr std::size_t kDomainBytesMax = 253;  // RFC 1035 §2.3.4, as text
constexpr std::size_t kLabelBytesMax = 63;
constexpr std::size_t kNamespaceBytesMax = 64;
constexpr std::size_t kInterfaceBytesMax = 15;  // IFNAMSIZ less its NUL
constexpr std::size_t kPathBytesMax = 4095;     // PATH_MAX less its NUL

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return is_lower(c) || (c >= 'A' && c <= 'Z'); }

template <typename Test>
bool all(const std::string& text, std::size_t most, Test test) {
  return !text.empty() && text.size() <= most && std::all_of(text.begin(), text.end(), test);
}

bool is_label(std::string_view label) {
  return !label.empty() && label.size() <= kLabelBytesMax && label.front() != '-' && label.back() != '-' &&
         std::all_of(label.begin(), label.end(),
                     [](char c) { return is_letter(c) || is_digit(c) || c == '-' || c == '_'; });
}

// Calls `test` with each part between dots; false as soon as it is.
template <typename Test>
bool all_parts(std::string_view text, Test test) {
  for (;;) {
    const auto dot = text.find('.');
    if (!test(text.substr(0, dot))) return false;
    if (dot == text.npos) return true;
    text.remove_prefix(dot + 1);
  }
}

// As inet_pton() reads it, which takes no short form: 10.11.12 is none.
bool is_ip_address(const std::string& text) {
  in6_addr parsed{};
  if (text.find('\0') != text.npos) return false;
  return ::inet_pton(AF_INET, text.c_str(), &parsed) == 1 || ::inet_pton(AF_INET6, text.c_str(), &parsed) == 1;
}

bool is_name_character(char c) { return is_letter(c) || is_digit(c) || c == '.' || c == '_' || c == '-'; }

}  // namespace

std::string check_serial(const std::string& text) {
  return all(text, 64, is_name_character) ? "" : "1 to 64 of A-Z a-z 0-9 . _ -";
}

std::string check_model(const std::string& text) {
  const bool good = !text.empty() && text.size() <= 64 && printable(text, 64) == text;
  return good ? "" : "1 to 64 printable characters";
}

std::string check_site(const std::string& text) {
  if (text.empty() || (all(text, 64, is_name_character) && text[0] != '.')) return "";
  return "1 to 64 of A-Z a-z 0-9 . _ - with no dot in front";
}

std::string check_domain(const std::string& text) {
  const std::string name = !text.empty() && text.back() == '.' ? text.substr(0, text.size() - 1) : text;
  if (name.empty() || text.size() > kDomainBytesMax) return "a domain name of 1 to 253 characters";
  if (text.find("://") != text.npos)
    return "a domain name alone, without \"" + text.substr(0, text.find("://")) + "://\"";
  if (text.find('/') != text.npos) return "a domain name alone, without a path";
  if (text.find(':') != text.npos) return "a domain name alone; a port goes into ports";
  if (text.find("..") != text.npos || text[0] == '.') return "a domain name without an empty part between dots";
  if (!all_parts(name, is_label))
    return "a domain name: parts of 1 to 63 letters, digits, - and _ between dots (A-labels, xn--..., for others)";
  return "";
}

std::string check_plugin_id(const std::string& text) {
  const auto is_part = [](std::string_view part) {
    return !part.empty() && (is_lower(part[0]) || is_digit(part[0])) &&
           std::all_of(part.begin(), part.end(),
                       [](char c) { return is_lower(c) || is_digit(c) || c == '_' || c == '-'; });
  };
  const bool good = text.size() <= 128 && text.find('.') != text.npos && all_parts(text, is_part);
  return good ? "" : "a plugin id <owner>.<name>: at most 128 of a-z 0-9 _ - and dots between";
}

std::string check_action_name(const std::string& text) {
  const auto is_good = [](char c) { return is_lower(c) || is_digit(c) || c == '_' || c == '-'; };
  return all(text, 64, is_good) ? "" : "1 to 64 of a-z 0-9 _ -";
}

std::string check_vpn_instance(const std::string& text) {
  const auto is_good = [](char c) { return c > ' ' && c < 0x7f && c != '/'; };
  if (text.empty() || (all(text, kNamespaceBytesMax, is_good) && text != "." && text != "..")) return "";
  return "the name of a VRF device or of a network namespace: 1 to 64 characters without spaces and /";
}

std::string check_source_ip(const std::string& text) {
  if (text.empty() || is_ip_address(text)) return "";
  return "an IPv4 or IPv6 address of this device, for example \"192.0.2.7\"";
}

std::string check_interface(const std::string& text) {
  const auto is_good = [](char c) { return c > ' ' && c < 0x7f && c != '/'; };
  const bool good = all(text, kInterfaceBytesMax, is_good) && text != "." && text != "..";
  return good ? "" : "the name of a network interface: 1 to 15 characters without spaces and /";
}

std::string check_no_proxy(const std::string& text) {
  std::string name = text.substr(text.rfind("*.", 0) == 0 ? 2 : text.rfind('.', 0) == 0 ? 1 : 0);
  const auto slash = name.find('/');
  if (text == "*" || is_ip_address(name.substr(0, slash))) return "";
  return check_domain(name).empty() ? "" : "a domain name, an IP address, or \"*\" for every one";
}

std::string check_absolute_path(const std::string& text) {
  const bool good = !text.empty() && text[0] == '/' && text.size() <= kPathBytesMax && text.find('\0') == text.npos;
  return good ? "" : "an absolute path, one that begins with /";
}

std::string canonical_domain(const std::string& domain) {
  std::string name = domain;
  if (!name.empty() && name.back() == '.') name.pop_back();
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

}  // namespace hawser::config
