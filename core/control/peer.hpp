#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "core/base/result.hpp"

// Who stands at the other end of a Unix socket, and what that one may do (promise sec-3). Any thread.
namespace hawser::control {

enum class Access {
  None,   // a refusal is all there is
  View,   // may look: the group `hawser-view`
  Change  // may change something: root, the user that the agent runs as, and the group `hawser`
};

// The two groups' numbers; one that does not exist lets no one in.
struct AccessGroups {
  std::optional<gid_t> change, view;
  // As the system's data bases have them now. Blocks on these: before a loop runs.
  static AccessGroups of_system();
};

struct Peer {
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t pid = 0;
  std::vector<gid_t> groups;  // supplementary
};

inline constexpr std::size_t kPeerGroupsMax = 65536;  // the kernel's own limit, NGROUPS_MAX

// As the kernel noted it when the peer connected (SO_PEERCRED, SO_PEERGROUPS).
Result<Peer> peer_of(int socket);
Access access_of(const Peer& peer, const AccessGroups& groups);

// What the process is called ("hawserctl"), safe to show; "?" when it is gone. A name that its owner chose: for people.
std::string process_name(pid_t pid);

}  // namespace hawser::control
