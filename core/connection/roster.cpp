#include "core/connection/roster.hpp"

#include <algorithm>

#include "core/connection/url.hpp"

namespace hawser::connection {

void Roster::follow(const std::vector<Target>& targets) {
  std::vector<std::shared_ptr<Server>> next;
  for (const Target& target : targets) {
    const auto known = std::find_if(servers_.begin(), servers_.end(),
                                    [&](const auto& server) { return key_of(server->target) == key_of(target); });
    auto server = known != servers_.end() ? *known : std::make_shared<Server>();
    server->target = target;
    server->origin = {canonical_host(target.domain), target.port};
    next.push_back(std::move(server));
  }
  servers_ = std::move(next);
}

const Server* Roster::find(const std::string& key) const {
  const auto found =
      std::find_if(servers_.begin(), servers_.end(), [&](const auto& server) { return key_of(server->target) == key; });
  return found == servers_.end() ? nullptr : found->get();
}

std::vector<std::string> Roster::keys() const {
  std::vector<std::string> keys;
  for (const auto& server : servers_) keys.push_back(key_of(server->target));
  return keys;
}

void Roster::forget_tokens() {
  for (const auto& server : servers_) server->token.clear();
}

std::vector<ServerState> Roster::states(const Waits& waits, const std::string& current, TimePoint now) const {
  std::vector<ServerState> states;
  for (const auto& server : servers_) {
    const auto key = key_of(server->target);
    states.push_back({server->target, key == current, server->failure, waits.asked(key, now)});
  }
  return states;
}

}  // namespace hawser::connection
