#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/connection/targets.hpp"
#include "core/connection/waits.hpp"
#include "core/transport/stream.hpp"

namespace hawser::connection {

// A server with what it gave us; in memory only.
struct Server {
  Target target;
  transport::Origin origin;  // the host canonical
  std::string nonce;         // the newest, unspent; empty: none
  std::string token;         // empty: none
  TimePoint token_until{};
  std::optional<Error> failure;  // of the last attempt, until one succeeds
};

// The servers in the order in which they are tried. Lives on the connection thread.
class Roster {
 public:
  // What is known of a server that stays is kept, also where its role, source or binding changed.
  void follow(const std::vector<Target>& targets);

  std::shared_ptr<Server> at(std::size_t place) const { return servers_.at(place); }
  const Server* find(const std::string& key) const;  // null where there is none
  std::vector<std::string> keys() const;
  void forget_tokens();
  // For `state`; `current` is a key.
  std::vector<ServerState> states(const Waits& waits, const std::string& current, TimePoint now) const;

 private:
  std::vector<std::shared_ptr<Server>> servers_;
};

}  // namespace hawser::connection
