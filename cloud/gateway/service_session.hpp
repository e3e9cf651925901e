#pragma once

#include <string>

#include "cloud/gateway/clock.hpp"
#include "cloud/gateway/peer.hpp"
#include "cloud/store/records.hpp"

namespace hawser::cloud {

// The cloud's end of one subconnection, whoever speaks there. Shared by hub and server; the hub's thread.
class ServiceSession : public Conversation {
 public:
  explicit ServiceSession(TokenRecord token) : token_(std::move(token)) {}

  virtual void tick(Now now) = 0;     // about once a second
  virtual void settings_changed() {}  // the configuration was read again
  virtual void store_changed() = 0;   // an operator's command changed something about its device
  virtual void end(int code, const std::string& reason) = 0;

  const std::string& serial() const { return token_.serial; }
  const std::string& service() const { return token_.service; }

 protected:
  const TokenRecord token_;  // the grant's
};

}  // namespace hawser::cloud
