#include "core/connection/targets.hpp"

#include <algorithm>

#include "core/connection/url.hpp"

namespace hawser::connection {
namespace {

const DhcpOffer* lease_of(const Situation& in) {
  return in.settings.dhcp.enabled && in.dhcp && !in.dhcp->domain.empty() ? &*in.dhcp : nullptr;
}

bool has_name(const Target& target, const std::string& domain) {
  return canonical_host(target.domain) == canonical_host(domain);
}

bool is_before(const Target& a, const Target& b) {
  const auto left = canonical_host(a.domain), right = canonical_host(b.domain);
  return left != right ? left < right : a.port > b.port;
}

std::vector<Target> configured(const config::Settings& settings) {
  std::vector<Target> targets;
  for (const config::Server& server : settings.servers) {
    auto ports = server.ports;
    if (ports.empty()) ports.push_back(settings.authentication_port);
    for (const auto port : ports)
      targets.push_back({server.domain, port, server.primary, Target::Source::Config, server.binding});
  }
  std::stable_sort(targets.begin(), targets.end(), is_before);
  const auto twice = [](const Target& a, const Target& b) { return key_of(a) == key_of(b); };
  targets.erase(std::unique(targets.begin(), targets.end(), twice), targets.end());
  return targets;
}

}  // namespace

std::string key_of(const Target& target) { return canonical_host(target.domain) + ":" + std::to_string(target.port); }

bool is_same_server(const Target& a, const Target& b) { return key_of(a) == key_of(b) && a.binding == b.binding; }

std::optional<std::size_t> find_server(const std::vector<Target>& targets, const Target& wanted) {
  for (std::size_t i = 0; i < targets.size(); ++i) {
    if (is_same_server(targets[i], wanted)) return i;
  }
  return std::nullopt;
}

std::vector<Target> targets_of(const config::Settings& settings, const std::optional<DhcpOffer>& dhcp) {
  auto targets = configured(settings);
  const DhcpOffer* lease = lease_of({settings, dhcp});
  if (lease == nullptr) return targets;
  Target leased{lease->domain, settings.authentication_port, true, Target::Source::Dhcp, {}};
  // What the operator said of this name holds for it also when a lease tells it.
  const auto same =
      std::find_if(targets.begin(), targets.end(), [&](const Target& t) { return has_name(t, lease->domain); });
  if (same != targets.end()) leased.binding = same->binding;
  std::erase_if(targets, [&](const Target& t) { return key_of(t) == key_of(leased); });
  targets.insert(targets.begin(), std::move(leased));
  return targets;
}

std::string password_of(const config::Settings& settings, const std::optional<DhcpOffer>& dhcp) {
  if (!settings.password.empty()) return settings.password;
  const DhcpOffer* lease = lease_of({settings, dhcp});
  return lease != nullptr ? lease->password.value_or("") : "";
}

Impact impact_of(const Situation& before, const Situation& after, const std::optional<Target>& present,
                 const std::string& reason) {
  const config::Settings &old = before.settings, &now = after.settings;
  Impact impact;
  const DhcpOffer *old_lease = lease_of(before), *lease = lease_of(after);
  const auto targets = targets_of(now, after.dhcp);
  const bool other_name =
      lease != nullptr && (old_lease == nullptr || canonical_host(old_lease->domain) != canonical_host(lease->domain));
  if (other_name && (!present || !has_name(*present, lease->domain))) {
    impact.begin_at_first = true;
    impact.leave = Error{reason, "a lease of " + lease->interface + " names " + lease->domain};
  } else if (present && !find_server(targets, *present)) {
    impact.leave = Error{reason, key_of(*present) + " is no longer in the list as it was"};
  }
  if (password_of(old, before.dhcp) != password_of(now, after.dhcp)) {
    impact.authenticate_anew = true;
    const bool leased = reason == "server_changed_by_dhcp";
    if (!impact.leave) impact.leave = Error{leased ? "password_changed_by_dhcp" : reason, "another password"};
  }
  if (old.serial != now.serial || old.model != now.model || old.kind != now.kind) {
    impact.authenticate_anew = true;
    if (!impact.leave) impact.leave = Error{reason, "another serial, model or kind of cloud"};
  }
  const bool registers_anew = old.keepalive_interval != now.keepalive_interval ||
                              old.keepalive_count != now.keepalive_count || old.ping_interval != now.ping_interval ||
                              old.site != now.site || old.hostname != now.hostname;
  if (registers_anew && !impact.leave) impact.leave = Error{"normal", "registering anew with other intervals or names"};
  impact.dial_otherwise = old.ca_file != now.ca_file || old.proxy != now.proxy;
  return impact;
}

bool concerns_an_attempt(const Situation& before, const Situation& after) {
  const Impact impact = impact_of(before, after, std::nullopt, "");
  return impact.begin_at_first || impact.authenticate_anew || impact.dial_otherwise || impact.leave ||
         targets_of(before.settings, before.dhcp) != targets_of(after.settings, after.dhcp);
}

}  // namespace hawser::connection
