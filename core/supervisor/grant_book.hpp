#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/json.hpp"
#include "core/base/waker.hpp"

namespace hawser::supervisor {

// The grants in force, so that a host that starts later gets them at once. In memory only, as tokens must be.
// Owned by the supervisor, lives on the loop's thread; time is an argument.
class GrantBook {
 public:
  // Takes the whole list that is in force now, received at `now`. Returns the services that had a grant or a refusal
  // and stand in the list no more: they are revoked.
  std::vector<std::string> replace(const std::vector<json::Object>& grants,
                                   const std::map<std::string, std::string>& refused, TimePoint now);
  // The grant is of no use any more, yet the service is still granted: only a list without it revokes it.
  void use_up(const std::string& service);
  void forget(const std::string& service);
  void forget_all();

  // The grant of a service with expires_in as it is now; nothing when there is none or its time is over.
  json::Object grant(const std::string& service, TimePoint now) const;
  // Why the cloud refused the service; nothing when it did not.
  std::optional<std::string> refusal(const std::string& service) const;

 private:
  struct Held {
    json::Object grant;
    TimePoint received;
    std::chrono::seconds life;
  };
  std::map<std::string, Held> grants_;
  std::map<std::string, std::string> refused_;
};

}  // namespace hawser::supervisor
