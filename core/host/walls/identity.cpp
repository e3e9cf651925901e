#include <grp.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>

#include "core/base/encoding.hpp"
#include "core/host/walls/walls.hpp"

// Who the host is: user, groups, capabilities.
namespace hawser::host {
namespace {

struct FreeCapabilities {
  void operator()(cap_t capabilities) const { ::cap_free(capabilities); }
};
using Capabilities = std::unique_ptr<std::remove_pointer_t<cap_t>, FreeCapabilities>;

// user_namespaces(7): lines of "first inside, first outside, count". Where there is no such file, every id is there.
bool is_mapped(const char* map, std::uint64_t id) {
  std::ifstream lines(map);
  if (!lines) return true;
  std::uint64_t first = 0, outside = 0, count = 0;
  while (lines >> first >> outside >> count) {
    if (id >= first && id - first < count) return true;
  }
  return false;
}

Error failed(const char* call) { return {"user", std::string(call) + ": " + std::strerror(errno)}; }

// For whoever starts programs: nothing that is not there can be gained. Takes CAP_SETPCAP; who has not got it and is not
// root had nothing to gain.
void empty_bounding_set(std::vector<std::string>& missing) {
  for (cap_value_t one = 0; CAP_IS_SUPPORTED(one); ++one) {
    if (::cap_get_bound(one) != 1 || ::cap_drop_bound(one) == 0) continue;
    if (::geteuid() == 0) missing.push_back(std::string("capability bounding set: ") + std::strerror(errno));
    return;
  }
}

std::vector<cap_value_t> values_of(const std::vector<std::string>& names, std::vector<std::string>& missing) {
  const Capabilities now(::cap_get_proc());
  std::vector<cap_value_t> values;
  for (const auto& name : names) {
    cap_value_t value = 0;
    cap_flag_value_t permitted = CAP_CLEAR;
    if (::cap_from_name(name.c_str(), &value) != 0) {
      missing.push_back("capability " + printable(name) + ": this system knows none of that name");
    } else if (::cap_get_flag(now.get(), value, CAP_PERMITTED, &permitted) != 0 || permitted != CAP_SET) {
      missing.push_back("capability " + printable(name) + ": the agent does not have it itself");
    } else {
      values.push_back(value);
    }
  }
  return values;
}

}  // namespace

Status take_user(uid_t uid, gid_t gid) {
  if (!is_mapped("/proc/self/uid_map", uid) || !is_mapped("/proc/self/gid_map", gid))
    return Error{kUnmapped, "this container has no user " + std::to_string(uid) + " (/proc/self/uid_map)"};
  if (::prctl(PR_SET_KEEPCAPS, 1) != 0) return failed("PR_SET_KEEPCAPS");
  const gid_t before = ::getegid();
  // One after the other, since the user's change takes the right to the two others.
  if (::setgroups(0, nullptr) != 0) return failed("setgroups");
  if (::setresgid(gid, gid, gid) != 0) return failed("setresgid");
  if (::setresuid(uid, uid, uid) == 0) return ok();
  const Error problem = failed("setresuid");
  (void)!::setresgid(before, before, before);
  return problem;
}

void give_up_capabilities(const std::vector<std::string>& kept, std::vector<std::string>& missing) {
  // What the user's change made ineffective is needed once more, to drop the bounding set.
  const Capabilities all(::cap_get_proc());
  const cap_value_t set_capabilities = CAP_SETPCAP;
  if (::cap_set_flag(all.get(), CAP_EFFECTIVE, 1, &set_capabilities, CAP_SET) == 0) ::cap_set_proc(all.get());
  empty_bounding_set(missing);
  ::cap_reset_ambient();
  const auto values = values_of(kept, missing);
  const Capabilities left(::cap_init());
  for (const auto flag : {CAP_PERMITTED, CAP_EFFECTIVE}) {
    if (!values.empty()) ::cap_set_flag(left.get(), flag, static_cast<int>(values.size()), values.data(), CAP_SET);
  }
  if (::cap_set_proc(left.get()) != 0) missing.push_back(std::string("capabilities: ") + std::strerror(errno));
}

}  // namespace hawser::host
