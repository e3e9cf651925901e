#include "core/control/peer.hpp"

#include <grp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"

namespace hawser::control {
namespace {

std::optional<gid_t> group_of(const char* name) {
  std::vector<char> room(1024);
  constexpr std::size_t kRoomMax = 1024 * 1024;  // a group with very many members
  group entry{};
  group* found = nullptr;
  int problem = 0;
  while ((problem = ::getgrnam_r(name, &entry, room.data(), room.size(), &found)) == ERANGE && room.size() < kRoomMax)
    room.resize(room.size() * 4);
  return problem == 0 && found ? std::optional(entry.gr_gid) : std::nullopt;
}

bool is_member(const Peer& peer, const std::optional<gid_t>& group) {
  if (!group) return false;
  return peer.gid == *group || std::find(peer.groups.begin(), peer.groups.end(), *group) != peer.groups.end();
}

}  // namespace

AccessGroups AccessGroups::of_system() { return {group_of("hawser"), group_of("hawser-view")}; }

Result<Peer> peer_of(int socket) {
  const auto failed = [] { return Error{"io_error", std::string("cannot ask who asks: ") + std::strerror(errno)}; };
  ucred told{};
  socklen_t size = sizeof told;
  if (::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &told, &size) != 0) return failed();
  Peer peer{told.uid, told.gid, told.pid, std::vector<gid_t>(32)};
  for (;;) {
    size = static_cast<socklen_t>(peer.groups.size() * sizeof(gid_t));
    if (::getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, peer.groups.data(), &size) == 0) break;
    const std::size_t wanted = size / sizeof(gid_t);
    if (errno != ERANGE || wanted <= peer.groups.size() || wanted > kPeerGroupsMax) return failed();
    peer.groups.resize(wanted);
  }
  peer.groups.resize(size / sizeof(gid_t));
  return peer;
}

Access access_of(const Peer& peer, const AccessGroups& groups) {
  if (peer.uid == 0 || peer.uid == ::geteuid() || is_member(peer, groups.change)) return Access::Change;
  return is_member(peer, groups.view) ? Access::View : Access::None;
}

std::string process_name(pid_t pid) {
  const auto name = read_file("/proc/" + std::to_string(pid) + "/comm", 64);
  return name && name->size() > 1 ? printable(name->substr(0, name->size() - 1), 32) : "?";
}

}  // namespace hawser::control
