#include <algorithm>
#include <array>

#include "cloud/gateway/peer.hpp"

namespace hawser::cloud {
namespace {

constexpr std::array kReasons{
    std::pair{1000, "normal"},    std::pair{1001, "going_away"},   std::pair{1002, "framing"},
    std::pair{1003, "not_text"},  std::pair{1007, "bad_payload"},  std::pair{1008, "policy"},
    std::pair{1009, "too_big"},   std::pair{1011, "server_error"}, std::pair{1012, "restarting"},
    std::pair{1013, "try_again"}, std::pair{4008, "hang_up"},      std::pair{4011, "drained"},
    std::pair{4012, "revoked"}};

}  // namespace

std::string reason_of_close(int code, std::string_view words) {
  if (code == 4008 && words == "keepalive_expired") return "keepalive_expired";
  const auto known = std::find_if(kReasons.begin(), kReasons.end(), [&](const auto& one) { return one.first == code; });
  return known == kReasons.end() ? "peer_closed" : known->second;
}

}  // namespace hawser::cloud
