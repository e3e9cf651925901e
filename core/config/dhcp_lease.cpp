#include "core/config/dhcp_lease.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <ctime>
#include <fstream>
#include <map>
#include <sstream>

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"
#include "core/config/forms.hpp"

namespace hawser::config {
namespace {

constexpr std::size_t kLinesMax = 64;
constexpr std::size_t kShownMax = 80;
constexpr std::size_t kKeyShownMax = 16;
constexpr std::size_t kInterfaceNameMax = 15;  // IFNAMSIZ
constexpr std::size_t kRoutesMax = 4096;       // lines of a table: the main loop waits for them

template <typename Number>
std::optional<Number> number(std::string_view text, int base = 10) {
  Number value{};
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return problem == std::errc{} && end == text.data() + text.size() && !text.empty() ? std::optional(value)
                                                                                     : std::nullopt;
}

std::optional<std::string> from_hex(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); i += 2) {
    const auto byte = number<unsigned>(text.substr(i, 2), 16);
    if (!byte || text[i] == '-') return std::nullopt;
    bytes += static_cast<char>(*byte);
  }
  return bytes;
}

std::string named(int code, const std::string& value) {
  return "DHCP option " + std::to_string(code) + " \"" + printable(value, kShownMax) + "\"";
}

// Servers write C strings: what comes after the text proper is not held against them.
std::string without_padding(std::string value) {
  while (!value.empty() && value.back() == '\0') value.pop_back();
  return value;
}

bool is_address(const std::string& name) {
  const auto dot = name.rfind('.');
  const std::string last = dot == std::string::npos ? name : name.substr(dot + 1);
  return !last.empty() && std::all_of(last.begin(), last.end(), [](char c) { return c >= '0' && c <= '9'; });
}

Result<std::string> domain_of(int code, const std::string& value) {
  std::string name = without_padding(value);
  const auto refuse = [&](const std::string& what) { return Error{"refused", named(code, name) + " " + what}; };
  if (name.empty())
    return Error{"refused", "DHCP option " + std::to_string(code) + " is empty; it must name the cloud"};
  if (!is_utf8(name) || name.find('\0') != name.npos) return refuse("is not the text of a domain name");
  if (const auto fault = check_domain(name); !fault.empty()) return refuse("must be " + fault);
  if (name.back() == '.') name.pop_back();
  if (is_address(name)) return refuse("must be a domain name, which a certificate can be checked for, no address");
  return name;
}

Result<std::string> password_of(int code, const std::string& value) {
  const std::string password = without_padding(value);
  const std::string name = "DHCP option " + std::to_string(code);  // never the value: it may be a secret
  if (password.empty() || password.size() > kDhcpPasswordBytesMax)
    return Error{"refused", name + " must be a password of 1 to 128 bytes"};
  if (password.find("://") != password.npos)
    return Error{"refused", name + " holds a URL, such as proxy discovery (WPAD) leaves there, and no password"};
  const bool clean = std::all_of(password.begin(), password.end(),
                                 [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
  if (!clean || !is_utf8(password)) return Error{"refused", name + " holds no password: it is not printable UTF-8"};
  return password;
}

struct Lines {
  std::map<int, std::string> options;
  std::optional<std::chrono::seconds> expires_boot;
};

Status take_line(const std::string& line, Lines& lines) {
  const auto equals = line.find('=');
  const std::string key = line.substr(0, equals), value = equals == line.npos ? "" : line.substr(equals + 1);
  // Never the value: it may be a password.
  const std::string shown =
      key == "expires_boot_s" || key.rfind("option_", 0) == 0 ? printable(key, kKeyShownMax) : "?";
  const Error odd{"refused", "the line \"" + shown + "=...\" is not of the form option_<code>=<hex>"};
  if (key == "expires_boot_s") {
    const auto seconds = number<std::int64_t>(value);
    if (!seconds || *seconds < 0 || *seconds > json::kIntegerMax) return odd;
    lines.expires_boot = std::chrono::seconds(*seconds);
    return ok();
  }
  const auto code = key.rfind("option_", 0) == 0 ? number<int>(key.substr(7)) : std::nullopt;
  const auto bytes = from_hex(value);
  if (!code || *code < 1 || *code > 254 || !bytes || equals == line.npos) return odd;
  lines.options[*code] += *bytes;  // RFC 3396: a long option comes in pieces
  return ok();
}

struct Route {
  std::string interface;
  bool ipv6;
  std::uint64_t metric;
};

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return words;
}

// proc(5): Iface Destination Gateway Flags RefCnt Use Metric Mask ..., and for IPv6 destination, length, source,
// length, next hop, metric, references, use, flags, interface.
std::vector<Route> default_routes(const std::filesystem::path& proc_net) {
  constexpr unsigned kUp = 1, kReject = 0x200;
  std::vector<Route> routes;
  for (const bool ipv6 : {false, true}) {
    std::ifstream stream(proc_net / (ipv6 ? "ipv6_route" : "route"));
    std::size_t count = 0;
    for (std::string line; count < kRoutesMax && std::getline(stream, line); ++count) {
      const auto words = words_of(line);
      if (words.size() < 10) continue;
      const bool everything = ipv6 ? words[1] == "00" && words[0].find_first_not_of('0') == std::string::npos
                                   : words[1] == "00000000" && words[7] == "00000000";
      if (!ipv6 && words[0] != "Iface" && words[1] != "00000000") break;  // in order: what is longer comes later
      const auto flags = number<unsigned>(words[ipv6 ? 8 : 3], 16).value_or(0);
      const auto metric = number<std::uint64_t>(words[ipv6 ? 5 : 6], ipv6 ? 16 : 10);
      if (everything && (flags & kUp) && !(flags & kReject) && metric)
        routes.push_back({words[ipv6 ? 9 : 0], ipv6, *metric});
    }
  }
  return routes;
}

bool is_heard(const std::string& interface, const std::vector<std::string>& only) {
  const bool is_name =
      !interface.empty() && interface[0] != '.' && interface.size() <= kInterfaceNameMax &&
      std::all_of(interface.begin(), interface.end(), [](char c) { return c > ' ' && c < 0x7f && c != '/'; });
  return is_name && (only.empty() || std::find(only.begin(), only.end(), interface) != only.end());
}

}  // namespace

Result<std::optional<Lease>> parse_lease(const std::string& content, const Dhcp& settings) {
  Lines lines;
  std::istringstream stream(content);
  std::size_t count = 0;
  for (std::string line; std::getline(stream, line);) {
    if (++count > kLinesMax) return Error{"refused", "it has more than 64 lines"};
    if (line.empty()) continue;
    if (const auto taken = take_line(line, lines); !taken) return taken.error();
  }
  const auto option = lines.options.find(settings.domain_option);
  if (option == lines.options.end()) return std::optional<Lease>();
  const auto domain = domain_of(option->first, option->second);
  if (!domain) return domain.error();
  Lease lease{*domain, std::nullopt, lines.expires_boot, {}};
  const auto secret = lines.options.find(settings.password_option);
  if (settings.password_option != 0 && secret != lines.options.end()) {
    const auto password = password_of(secret->first, secret->second);
    if (password) {
      lease.password = *password;
    } else {
      lease.remarks.push_back(password.error().message);
    }
  }
  return std::optional(lease);
}

std::vector<std::filesystem::path> lease_files(const std::filesystem::path& folder, const Dhcp& settings) {
  std::vector<std::filesystem::path> files;
  std::error_code problem;
  for (std::filesystem::directory_iterator entry(folder, problem), end;
       !problem && entry != end && files.size() < kLeaseFilesMax; entry.increment(problem)) {
    if (is_heard(entry->path().filename().string(), settings.interfaces)) files.push_back(entry->path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::chrono::seconds boot_time() {
  timespec time{};
  ::clock_gettime(CLOCK_BOOTTIME, &time);
  return std::chrono::seconds(time.tv_sec);
}

bool is_over(const Lease& lease) { return lease.expires_boot && *lease.expires_boot <= boot_time(); }

Result<std::string> read_lease(const std::filesystem::path& file) {
  const auto refuse = [&](const std::string& what) { return Error{"refused", file.string() + " " + what}; };
  const Descriptor in(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!in) return refuse(std::string("cannot be read: ") + std::strerror(errno));
  struct stat about {};
  if (::fstat(in.get(), &about) != 0 || !S_ISREG(about.st_mode)) return refuse("is no regular file");
  if (about.st_uid != 0 && about.st_uid != ::geteuid()) return refuse("must belong to root");
  if (about.st_mode & (S_IWGRP | S_IWOTH)) return refuse("must be writable by root alone");
  std::array<char, kLeaseBytesMax + 1> bytes;
  std::size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t got = ::read(in.get(), bytes.data() + size, bytes.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return refuse(std::string("cannot be read: ") + std::strerror(errno));
    if (got == 0) break;
    size += static_cast<std::size_t>(got);
  }
  if (size > kLeaseBytesMax) return refuse("is longer than 4 KiB");
  return std::string(bytes.data(), size);
}

std::optional<std::string> best_default_route(const std::vector<std::string>& interfaces,
                                              const std::filesystem::path& proc_net) {
  std::optional<Route> best;
  for (const auto& route : default_routes(proc_net)) {
    if (std::find(interfaces.begin(), interfaces.end(), route.interface) == interfaces.end()) continue;
    if (!best || std::pair(route.ipv6, route.metric) < std::pair(best->ipv6, best->metric)) best = route;
  }
  return best ? std::optional(best->interface) : std::nullopt;
}

}  // namespace hawser::config
