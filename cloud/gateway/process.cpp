#include "cloud/gateway/process.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <spdlog/spdlog.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>

namespace hawser::cloud {
namespace {
constexpr rlim_t kDescriptorsBeside = 64;  // listeners, database, log
constexpr int kFirstPassedDescriptor = 3, kPassedDescriptorsMax = 16;

int number_of(const char* variable) {
  const char* text = std::getenv(variable);
  return text ? std::atoi(text) : 0;
}

std::optional<int> port_of_listener(int descriptor) {
  int listening = 0;
  socklen_t size = sizeof listening;
  if (::getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || listening == 0) return {};
  sockaddr_storage address{};
  size = sizeof address;
  if (::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
  if (address.ss_family == AF_INET) return ntohs(reinterpret_cast<const sockaddr_in&>(address).sin_port);
  if (address.ss_family == AF_INET6) return ntohs(reinterpret_cast<const sockaddr_in6&>(address).sin6_port);
  return {};
}
}  // namespace

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

void notify_reloading() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const long long microseconds = now.tv_sec * 1'000'000LL + now.tv_nsec / 1000;
  notify(("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(microseconds)).c_str());
}

std::optional<int> listener_from_service_manager(int port) {
  if (number_of("LISTEN_PID") != ::getpid()) return {};
  const int count = std::clamp(number_of("LISTEN_FDS"), 0, kPassedDescriptorsMax);
  for (int descriptor = kFirstPassedDescriptor; descriptor < kFirstPassedDescriptor + count; ++descriptor) {
    if (port_of_listener(descriptor) != port) continue;
    ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
    return descriptor;
  }
  return {};
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
