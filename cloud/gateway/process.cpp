#include "cloud/gateway/process.hpp"

#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace hawser::cloud {
namespace {
constexpr rlim_t kDescriptorsBeside = 64;  // listeners, database, log
}

// sd_notify(3) in ten lines, so that nothing of systemd is needed.
void notify(const char* state) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (!path || std::strlen(path) >= sizeof(sockaddr_un::sun_path)) return;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, path);
  if (address.sun_path[0] == '@') address.sun_path[0] = '\0';
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return;
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
  ::sendto(fd, state, std::strlen(state), MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&address), size);
  ::close(fd);
}

void raise_descriptor_limit(int connections) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  const auto wanted = static_cast<rlim_t>(connections) + kDescriptorsBeside;
  if (limit.rlim_max != RLIM_INFINITY && limit.rlim_max < wanted)
    spdlog::warn(
        "limits.connections is {}, but this process may open {} files only: raise its limit (LimitNOFILE= of the unit,"
        " ulimit -Hn) to {}, or lower limits.connections",
        connections, limit.rlim_max, wanted);
}

}  // namespace hawser::cloud
