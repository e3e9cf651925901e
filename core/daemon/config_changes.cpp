#include "core/daemon/config_changes.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "core/config/show.hpp"

namespace hawser::daemon {
namespace {

using Leaves = std::map<std::string, std::string>;

// What stands at the ends of the tree, as text that tells one value from another.
void add_leaves(const std::string& key, const Poco::Dynamic::Var& value, Leaves& leaves) {
  if (value.type() == typeid(json::Array)) {
    leaves[key] = json::to_text(value.extract<json::Array>());
  } else if (value.type() == typeid(json::Object)) {
    const auto object = value.extract<json::Object>();
    for (const auto& name : object->getNames())
      add_leaves(key.empty() ? name : key + "." + name, object->get(name), leaves);
  } else {
    leaves[key] = value.isEmpty() ? "null" : value.type().name() + value.toString();
  }
}

std::set<std::string> shown_changes(const config::Settings& before, const config::Settings& now) {
  Leaves old, fresh;
  add_leaves("", config::to_json(before), old);
  add_leaves("", config::to_json(now), fresh);
  std::set<std::string> keys;
  for (const auto& [key, value] : old) {
    const auto found = fresh.find(key);
    if (found == fresh.end() || found->second != value) keys.insert(key);
  }
  for (const auto& [key, value] : fresh) {
    if (old.count(key) == 0) keys.insert(key);
  }
  return keys;
}

bool same_bindings(const config::Settings& a, const config::Settings& b) {
  return std::equal(a.servers.begin(), a.servers.end(), b.servers.begin(), b.servers.end(),
                    [](const auto& x, const auto& y) { return x.binding == y.binding; });
}

bool same_dhcp(const config::Dhcp& a, const config::Dhcp& b) {
  return a.enabled == b.enabled && a.domain_option == b.domain_option && a.password_option == b.password_option &&
         a.interfaces == b.interfaces;
}

}  // namespace

std::vector<std::string> changed_keys(const config::Settings& before, const config::Settings& now) {
  std::set<std::string> keys = shown_changes(before, now);
  // What is never shown, and what the display leaves out.
  const auto also = [&keys](bool changed, const std::string& key) {
    const auto next = keys.lower_bound(key);
    const bool told = next != keys.end() && next->rfind(key, 0) == 0;
    if (changed && !told) keys.insert(key);
  };
  also(before.password != now.password, "cloud.password");
  also(before.kind != now.kind, "cloud.kind");
  also(before.allow_incompatible != now.allow_incompatible, "cloud.allow_incompatible");
  also(before.remember_server != now.remember_server, "cloud.remember_server");
  also(before.proxy != now.proxy, "cloud.proxy");
  also(!same_dhcp(before.dhcp, now.dhcp), "cloud.dhcp");
  also(!same_bindings(before, now), "cloud.server");
  return {keys.begin(), keys.end()};
}

}  // namespace hawser::daemon
