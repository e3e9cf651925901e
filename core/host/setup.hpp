#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/base/json.hpp"
#include "core/base/network.hpp"
#include "core/control/confinement.hpp"

namespace hawser::host {

// Certificates are checked against the later of it and the clock. Raised by the control thread, read by every dial.
class ValidityFloor {
 public:
  using SystemTime = std::chrono::system_clock::time_point;
  void raise(std::chrono::seconds since_1970) {
    if (since_1970.count() > seconds_.load()) seconds_.store(since_1970.count());
  }
  SystemTime get() const { return SystemTime(std::chrono::seconds(seconds_.load())); }

 private:
  std::atomic<std::int64_t> seconds_{0};
};

// The core's first message: which plugin this process runs, and on what device. Immutable, but for the floor.
struct Setup {
  std::string plugin, version, digest;
  std::filesystem::path library, state_dir;
  int library_descriptor = -1;  // what hawserd verified, already open; -1: only its path is known
  std::string config;           // one JSON object, as text
  std::string serial, hostname, site, ca_file;
  std::shared_ptr<ValidityFloor> validity_floor = std::make_shared<ValidityFloor>();
  Proxy proxy;
  std::set<std::string> actions;
  std::size_t spool_bytes = 64 * 1024 * 1024;  // of each subconnection, on disk
  bool spool_relaxed = false;
  std::int64_t bytes_per_second = 0;  // to the cloud, of all subconnections together; 0: no limit
  bool probation = false;             // of an upgrade: the version before may be put back
  bool takes_over = true;             // false: it is older than the version before, whose hand-over it cannot know
  std::map<std::string, std::vector<std::string>> services;  // name: protocols
  std::optional<control::Confinement> confinement;           // absent: no walls (a test, by hand)
};

Result<Setup> read_setup(const json::Object& message);

// Keeps what stands in ca_file in memory, under a path that is readable when the process has given up its privileges. A
// file that cannot be read stays named as it is, so that the first dial says why.
void keep_ca_file(Setup& setup);

}  // namespace hawser::host
