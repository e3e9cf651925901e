#include "core/daemon/instance_lock.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "core/base/encoding.hpp"

namespace hawser::daemon {

Result<InstanceLock> InstanceLock::take(const std::filesystem::path& state_dir) {
  const auto path = state_dir / "hawserd.lock";
  const auto failure = [&path](const char* doing) {
    return Error{"io_error", std::string("cannot ") + doing + " " + path.string() + ": " + std::strerror(errno)};
  };
  Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return failure("open");
  if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return failure("lock");
    char holder[24] = {};
    const ssize_t got = ::pread(file.get(), holder, sizeof holder - 1, 0);
    std::string_view pid(holder, got > 0 ? static_cast<std::size_t>(got) : 0);
    pid = pid.substr(0, pid.find('\n'));
    return Error{"busy", "another hawserd" + (pid.empty() ? "" : " (process " + printable(pid) + ")") + " holds " +
                             path.string() + "; stop it, or give this one a --state-dir of its own"};
  }
  const std::string own = std::to_string(::getpid()) + "\n";
  if (::ftruncate(file.get(), 0) != 0 || ::pwrite(file.get(), own.data(), own.size(), 0) < 0) return failure("write");
  return InstanceLock(std::move(file));
}

}  // namespace hawser::daemon
