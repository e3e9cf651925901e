#include "core/host/walls/walls.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"

namespace hawser::host {
namespace {

constexpr const char* kNamespaces = "/run/netns/";

#ifdef HAWSER_SANITIZED
constexpr bool kSanitized = true;  // the sanitizers' shadow takes terabytes of addresses
#else
constexpr bool kSanitized = false;
#endif

std::string words_of(int error) { return std::strerror(error); }

void set_limit(__rlimit_resource resource, const char* name, std::uint64_t most, std::vector<std::string>& missing) {
  if (most == 0) return;
  rlimit limit{};
  ::getrlimit(resource, &limit);
  limit.rlim_max = std::min<rlim_t>(limit.rlim_max, most);
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(resource, &limit) != 0) missing.push_back(std::string(name) + ": " + words_of(errno));
}

// The user's change took both away: the signal that ends the host with its hawserd, and the hiding of its memory from
// other processes of the same user.
void renew_process_settings() {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::prctl(PR_SET_DUMPABLE, 0);
}

}  // namespace

Status enter_network_namespace(const std::string& name) {
  if (name.empty()) return ok();
  const std::string who = "network namespace " + printable(name) + ": ";
  if (name.find('/') != std::string::npos || name == "." || name == "..") return Error{"exited", who + "no such name"};
  const Descriptor target(::open((kNamespaces + name).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!target) return Error{"exited", who + kNamespaces + name + " cannot be opened: " + words_of(errno)};
  if (::setns(target.get(), CLONE_NEWNET) == 0) return ok();
  return Error{"exited", who + "it cannot be entered: " + words_of(errno) + "; it takes CAP_SYS_ADMIN"};
}

void set_limits(const control::Confinement& confinement, std::vector<std::string>& missing) {
  if (!kSanitized) set_limit(RLIMIT_AS, "RLIMIT_AS", confinement.address_space_bytes, missing);
  set_limit(RLIMIT_FSIZE, "RLIMIT_FSIZE", confinement.file_bytes, missing);
  set_limit(RLIMIT_NOFILE, "RLIMIT_NOFILE", confinement.descriptors, missing);
  if (confinement.uid) set_limit(RLIMIT_NPROC, "RLIMIT_NPROC", confinement.threads, missing);
}

Status forbid_new_privileges() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0) return ok();
  return Error{"no_new_privs", words_of(errno)};
}

Result<control::Isolation> put_up_walls(const control::Confinement& confinement, const OwnFiles& own) {
  control::Isolation isolation;
  auto& missing = isolation.missing;
  if (const auto entered = enter_network_namespace(confinement.network_namespace); !entered) return entered.error();
  Status user = ok();
  if (confinement.uid) {
    user = take_user(*confinement.uid, confinement.gid);
    isolation.own_uid = static_cast<bool>(user);
    if (!user) missing.push_back("own uid: " + user.error().message);
  } else if (::geteuid() != 0) {
    missing.push_back("own uid: the agent does not run as root");
  }
  control::Confinement limits = confinement;
  if (!isolation.own_uid) limits.uid.reset();
  set_limits(limits, missing);
  give_up_capabilities(confinement.capabilities, missing);
  renew_process_settings();
  const auto forbidden = forbid_new_privileges();
  isolation.no_new_privs = static_cast<bool>(forbidden);
  if (!forbidden) missing.push_back("no_new_privs: " + forbidden.error().message);
  const Landlock landlock = close_files(confinement, own, missing);
  isolation.landlock_abi = landlock.abi;
  SystemCalls calls;
  calls.execute = confinement.may_execute;
  calls.listen = confinement.may_listen;
  calls.signal_others = confinement.may_execute && (isolation.own_uid || landlock.confines_signals);
  const auto limited = limit_system_calls(calls);
  isolation.seccomp = static_cast<bool>(limited);
  if (!limited) missing.push_back("seccomp: " + limited.error().message);
  if (!limited && !user && user.error().code != kUnmapped)
    return Error{"exited", "neither a user of its own (" + user.error().message + ") nor seccomp (" +
                               limited.error().message + ") could be put up"};
  return isolation;
}

}  // namespace hawser::host
