#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/base/json.hpp"
#include "core/base/result.hpp"

// How far a host cuts its own privileges before the plugin's first instruction runs (iso-7), as hawserd works it out from
// the manifest, the operator's plugins.d and the system, and sends it in `setup`; and what the host says was put in force.
namespace hawser::control {

// A folder or file that stays reachable, with everything below it. Exists when hawserd looked.
struct PathRule {
  std::string path;  // absolute, no symbolic link in it
  bool write = false;
};

struct Confinement {
  // Absent: the host stays what it is (hawserd does not run as root).
  std::optional<uid_t> uid;
  gid_t gid = 0;
  // Names of capabilities(7) that the host keeps, permitted and effective: those of file.read and file.write alone.
  std::vector<std::string> capabilities;
  std::vector<PathRule> paths;  // beyond the base that every host has
  bool may_execute = false;     // permission `exec`: start programs
  bool may_listen = false;      // permission `listen:<port>`
  // 0: no limit. What cgroup v2 enforces is not set as an rlimit too.
  std::uint64_t address_space_bytes = 0;  // RLIMIT_AS
  std::uint64_t file_bytes = 0;           // RLIMIT_FSIZE
  std::uint64_t descriptors = 0;          // RLIMIT_NOFILE
  std::uint64_t threads = 0;              // RLIMIT_NPROC; counts for a uid of its own only
  // A file of /run/netns to enter before anything else; empty: none. Whoever names another later restarts the host.
  std::string network_namespace;
};

// What is in force in a running host, as it says itself; shown in `state` and `plugin show` (iso-6).
struct Isolation {
  bool own_uid = false;
  bool no_new_privs = false;
  bool seccomp = false;
  int landlock_abi = 0;              // 0: this kernel has none
  bool cgroup = false;               // set by hawserd, not by the host
  std::vector<std::string> missing;  // one sentence for each wall that could not be put up
  // "full": all of the above; "rlimits": all but the cgroup; else "reduced".
  std::string level() const;
};

json::Object to_json(const Confinement& confinement);
Result<Confinement> read_confinement(const json::Object& object);
json::Object to_json(const Isolation& isolation);
Result<Isolation> read_isolation(const json::Object& object);  // hostile data

}  // namespace hawser::control
