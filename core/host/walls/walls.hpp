#pragma once

#include <filesystem>

#include "core/base/result.hpp"
#include "core/control/confinement.hpp"

// The walls that a host puts up around itself before the plugin's first instruction runs (iso-7). All of it is for the
// process's only thread, once: what is put up here holds for every thread that is started later, and cannot be undone.
namespace hawser::host {

// What a host may reach whatever its confinement says.
struct OwnFiles {
  std::filesystem::path plugin_dir;  // read
  std::filesystem::path state_dir;   // read and write
  int library = -1;                  // the plugin's open shared object; negative: none
};

// Enters the network namespace, sets the limits, gives up user, groups and capabilities, and closes files, signals and
// system calls behind it. A wall that could not be put up is named in `missing`. An Error means that nothing of the
// plugin may run: in the wrong network, or with neither its own user nor its system calls limited.
Result<control::Isolation> put_up_walls(const control::Confinement& confinement, const OwnFiles& own);

// All that a host without a confinement does: nothing that it starts gains a privilege (setuid programs).
Status forbid_new_privileges();

// The single walls, in the order in which they are put up (walls.cpp).

Status enter_network_namespace(const std::string& name);
// Never above what is in force already. RLIMIT_NPROC counts all of a user's processes, so it is set for an own user only.
void set_limits(const control::Confinement& confinement, std::vector<std::string>& missing);

// An id that the user namespace of a container does not have; every other error of take_user has another code.
inline constexpr const char* kUnmapped = "unmapped";
// No groups but `gid`, then the user; the capabilities stay, for give_up_capabilities(). An Error: all as before.
Status take_user(uid_t uid, gid_t gid);
// Keeps the named ones, permitted and effective. None is inherited by a program that the plugin starts.
void give_up_capabilities(const std::vector<std::string>& kept, std::vector<std::string>& missing);

struct Landlock {
  int abi = 0;                    // 0: not in force
  bool confines_signals = false;  // none reaches a process outside (ABI 6)
};
Landlock close_files(const control::Confinement& confinement, const OwnFiles& own, std::vector<std::string>& missing);

struct SystemCalls {
  bool execute = false;  // start programs
  bool listen = false;
  bool signal_others = false;  // whom it may reach is then a matter of users or of Landlock
};
// An allow list; what is not on it answers EPERM, what this build does not know ENOSYS.
Status limit_system_calls(const SystemCalls& allowed);

}  // namespace hawser::host
