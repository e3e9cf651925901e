#include "core/config/cloud_rules.hpp"

#include <Poco/Net/NetworkInterface.h>
#include <Poco/URI.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <span>
#include <utility>

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"
#include "core/config/forms.hpp"
#include "core/config/hardware.hpp"
#include "core/config/password.hpp"

namespace hawser::config {
namespace {

namespace fs = std::filesystem;
using Poco::Net::IPAddress;

constexpr std::size_t kPasswordFileBytesMax = 4096;

// May anybody but its owner read the file?
bool is_private(const fs::path& file) {
  struct stat about {};
  return ::stat(file.c_str(), &about) == 0 && (about.st_mode & 077) == 0;
}

uid_t owner_of(const fs::path& file) {
  struct stat about {};
  return ::stat(file.c_str(), &about) == 0 ? about.st_uid : static_cast<uid_t>(-1);
}

std::string where(const Place& place) { return *place.file + ":" + std::to_string(place.line); }

// One line; its newline does not belong to the password.
Result<std::string> read_password_file(const fs::path& file) {
  if (const auto wanted = check_absolute_path(file.string()); !wanted.empty())
    return Error{"bad_config", "must be " + wanted};
  auto text = read_file(file, kPasswordFileBytesMax);
  if (!text) return Error{"bad_config", text.error().message};
  if (!is_private(file)) return Error{"bad_config", file.string() + " can be read by others; chmod 600 it"};
  if (const auto owner = owner_of(file); owner != 0 && owner != ::geteuid())
    return Error{"bad_config", file.string() + " belongs to uid " + std::to_string(owner) + "; chown it to root"};
  if (!text->empty() && text->back() == '\n') text->pop_back();
  if (const auto wanted = check_password(*text); !wanted.empty())
    return Error{"bad_config", file.string() + " must hold one line with the password, " + wanted};
  return text;
}

Error bad_url(const std::string& what) {
  return {"bad_config", what + "; write \"http://proxy.example:3128\", with user:password@ in front where it asks"};
}

// No fault shows the text: a password may stand in it.
Result<Proxy> parse_proxy(const std::string& text) {
  try {
    const Poco::URI url(text);
    if (url.getScheme() != "http") return bad_url("must begin with http://, the one kind of proxy that is supported");
    if (url.getHost().empty() || url.getPort() == 0) return bad_url("names no host, or port 0");
    if (!url.getPathEtc().empty() && url.getPathEtc() != "/") return bad_url("has a path, which a proxy takes none of");
    IPAddress literal;
    if (!IPAddress::tryParse(url.getHost(), literal) && !check_domain(url.getHost()).empty())
      return bad_url("names no host that can be: must be " + check_domain(url.getHost()));
    Proxy proxy{url.getHost(), url.getPort(), "", "", {}};
    const std::string who = url.getUserInfo();  // as written, still encoded
    const auto colon = who.find(':');
    Poco::URI::decode(who.substr(0, colon), proxy.user);
    if (colon != who.npos) Poco::URI::decode(who.substr(colon + 1), proxy.password);
    return proxy;
  } catch (const Poco::Exception&) {
    return bad_url("is no URL");
  }
}

std::string environment(const DeviceSources& sources, const char* name) {
  if (sources.environment) return sources.environment(name);
  const char* value = std::getenv(name);
  return value ? value : "";
}

// The name and the value of the first that is set; empty where none is.
std::pair<std::string, std::string> first_of(const DeviceSources& sources, std::span<const char* const> names) {
  for (const char* name : names) {
    if (auto value = environment(sources, name); !value.empty()) return {name, value};
  }
  return {};
}

std::vector<std::string> split_list(const std::string& text) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at < text.size() && parts.size() < kNoProxyMax;) {
    const auto end = std::min(text.find_first_of(", ", at), text.size());
    if (end > at) parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

// It is meant for every program of the device: what cannot be used here must not keep the agent from its cloud.
void take_proxy_of_environment(Draft& draft, const DeviceSources& sources, Faults& faults) {
  auto [variable, url] = first_of(sources, kProxyVariables);
  if (url.empty()) return;
  if (url.find("://") == url.npos) url.insert(0, "http://");  // as curl reads it
  const Place place{std::make_shared<const std::string>("environment"), 0, 0};
  auto proxy = parse_proxy(url);
  if (!proxy)
    return faults.warn(place, variable,
                       proxy.error().message + "; until then no proxy is used, unless cloud.proxy.url names one");
  proxy->no_proxy = draft.settings.proxy.no_proxy;
  for (auto& name : split_list(first_of(sources, kNoProxyVariables).second)) proxy->no_proxy.push_back(std::move(name));
  draft.settings.proxy = std::move(*proxy);
}

}  // namespace

Rule ip_version(IpVersion& into) {
  return [&into](const Node& value, const std::string& key, Faults& faults) {
    const bool number = value.kind == Node::Kind::Integer && (value.integer == 4 || value.integer == 6);
    if (!number && !(value.kind == Node::Kind::Text && value.text == "any"))
      return faults.add(value.place, key, wrong(value, "4, 6 or \"any\""));
    into = !number ? IpVersion::Any : value.integer == 4 ? IpVersion::V4 : IpVersion::V6;
  };
}

std::string missing_vpn_instance(const std::string& name) {
  std::error_code ignored;
  if (name.empty() || fs::exists("/run/netns/" + name, ignored) || fs::exists("/sys/class/net/" + name, ignored))
    return "";
  return "\"" + printable(name) +
         "\" is neither a network namespace (ip netns list) nor a network device (ip link) now";
}

std::string missing_source_ip(const std::string& text) {
  IPAddress wanted;
  if (!IPAddress::tryParse(text, wanted)) return "";  // told by its form
  for (const auto& [index, interface] : Poco::Net::NetworkInterface::map(false, false)) {
    for (const auto& address : interface.addressList()) {
      const auto& one = address.get<Poco::Net::NetworkInterface::IP_ADDRESS>();
      if (IPAddress(one.addr(), one.length()) == wanted) return "";
    }
  }
  return "\"" + printable(text) + "\" is no address of this device now (ip address)";
}

void check_binding(const Binding& binding, const Node& server, const std::string& key, Faults& faults) {
  IPAddress source;
  const bool is_address = !binding.source_ip.empty() && IPAddress::tryParse(binding.source_ip, source);
  const bool is_v4 = is_address && source.family() == IPAddress::IPv4;
  if (is_address && binding.ip_version != IpVersion::Any && is_v4 != (binding.ip_version == IpVersion::V4))
    faults.add(server.find("source_ip")->place, key + ".source_ip",
               "is \"" + binding.source_ip + "\", which does not go with ip_version = " +
                   (binding.ip_version == IpVersion::V4 ? "4" : "6") + "; change one of the two");
  if (const auto gone = missing_vpn_instance(binding.vpn_instance); !gone.empty())
    faults.warn(server.find("vpn_instance")->place, key + ".vpn_instance", gone);
  // An address of another network instance cannot be seen from here.
  if (!is_address || !binding.vpn_instance.empty()) return;
  if (const auto gone = missing_source_ip(binding.source_ip); !gone.empty())
    faults.warn(server.find("source_ip")->place, key + ".source_ip", gone);
}

void take_password(Draft& draft, const DeviceSources& sources, Faults& faults) {
  const std::pair<const Draft::Secret&, const char*> all[] = {{draft.password, "cloud.password"},
                                                              {draft.password_file, "cloud.password_file"},
                                                              {draft.password_cipher, "cloud.password_cipher"}};
  const std::pair<const Draft::Secret&, const char*>* chosen = nullptr;
  for (const auto& one : all) {
    if (one.first.text.empty()) continue;
    if (chosen)
      return faults.add(
          one.first.place, one.second,
          std::string("stands beside ") + chosen->second + " (" + where(chosen->first.place) + "); keep one of them");
    chosen = &one;
  }
  if (!chosen) return;
  const auto& [secret, key] = *chosen;
  Result<std::string> password = secret.text;
  if (&secret == &draft.password_file) password = read_password_file(secret.text);
  if (&secret == &draft.password_cipher) password = open_password(secret.text, sources.state_dir);
  if (&secret == &draft.password) {
    const std::string wanted = check_password(secret.text);
    if (!wanted.empty()) password = Error{"bad_config", "must be " + wanted};
    if (wanted.empty() && !is_private(*secret.place.file))
      password = Error{"bad_config",
                       "stands in the clear in a file that others can read; chmod 600 it, or better use "
                       "hawserctl server password"};
    if (password) faults.warn(secret.place, key, "stands in the clear; hawserctl server password encrypts it");
  }
  if (!password) return faults.add(secret.place, key, password.error().message);
  draft.settings.password = std::move(*password);
}

void take_proxy(Draft& draft, const DeviceSources& sources, Faults& faults) {
  const auto& [text, place] = draft.proxy_url;
  if (text.empty()) return take_proxy_of_environment(draft, sources, faults);
  auto proxy = parse_proxy(text);
  if (!proxy) return faults.add(place, "cloud.proxy.url", proxy.error().message);
  if (!proxy->password.empty() && !is_private(*place.file))
    faults.warn(place, "cloud.proxy.url", "has a password in a file that others can read; chmod 600 it");
  proxy->no_proxy = std::move(draft.settings.proxy.no_proxy);
  draft.settings.proxy = std::move(*proxy);
}

void check_hardware(const Draft& draft, const Node& root, const fs::path& config_dir, Faults& faults) {
  const Settings& settings = draft.settings;
  if (settings.kind == CloudKind::Generic) return;
  const Place place = draft.kind.file ? draft.kind : root.place;
  const auto tables = read_hardware_tables(config_dir);
  if (!tables) return faults.add(place, "cloud.kind", "cannot be checked: " + tables.error().message);
  const std::string pair =
      "model \"" + printable(settings.model) + "\" and cloud kind \"" + name_of(settings.kind) + "\"";
  for (const HardwareTable& table : *tables) {
    if (table.kind != settings.kind) continue;
    const auto compatible = table.find(settings.model);
    if (!compatible) return faults.warn(place, "cloud.kind", pair + " stand in no hardware table; it may not work");
    if (*compatible) return;
    if (settings.allow_incompatible)
      return faults.warn(place, "cloud.kind",
                         pair + " are not compatible; allow_incompatible = true tries all the same");
    return faults.add(place, "cloud.kind",
                      pair +
                          " are not compatible (hawserctl compat); choose another kind, or try all the same with "
                          "cloud.allow_incompatible = true");
  }
}

}  // namespace hawser::config
