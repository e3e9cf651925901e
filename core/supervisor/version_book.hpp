#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/base/file_writer.hpp"
#include "core/config/settings.hpp"
#include "core/supervisor/plugin_store.hpp"

namespace hawser::supervisor {

// One version as it was: another file under the same number is another one.
struct VersionMark {
  std::string version;
  std::string digest;  // "sha256:<hex>" of the library
  bool operator==(const VersionMark&) const = default;
};
VersionMark mark_of(const FoundPlugin& plugin);

// Which version of each plugin has proved itself, which one is on probation, and which ones failed it (sdk-10), kept over
// restarts: one small JSON file in the state folder. Owned by the supervisor, lives on the loop's thread, which never
// waits for the disk but at the start.
class VersionBook {
 public:
  static constexpr std::size_t kPluginsMax = 256;
  static constexpr std::size_t kFailuresMax = 8;  // of one plugin; the oldest is forgotten
  static constexpr std::size_t kBytesMax = 1024 * 1024;

  struct Failure {
    VersionMark mark;
    std::string at;   // RFC 3339
    std::string why;  // one sentence, safe to show
  };
  struct Entry {
    VersionMark settled;
    std::set<std::string> permissions;  // that it, or the operator's consent, stands for
    VersionMark trial;                  // empty: none
    std::vector<Failure> failures;      // oldest first
  };

  // A file that is damaged counts as none, with a warning: of each plugin the oldest version on disk is the first then.
  explicit VersionBook(std::filesystem::path file);

  const Entry* find(const std::string& plugin) const;  // null: no version has run yet
  bool on_trial(const FoundPlugin& plugin) const;
  const Failure* failure_of(const FoundPlugin& plugin) const;

  void settle(const FoundPlugin& plugin);
  void begin_trial(const FoundPlugin& plugin);
  void end_trial(const std::string& plugin);
  void fail_trial(const std::string& plugin, const std::string& why);
  bool forgive(const std::string& plugin);  // every failure; false: there was none
  void consent(const std::string& plugin, const trust::Manifest& manifest);
  void forget(const std::string& plugin);

 private:
  void read();
  void write();

  const std::filesystem::path file_;
  std::map<std::string, Entry> entries_;
  FileWriter writer_{std::chrono::milliseconds{0}};  // seldom, and then at once
};

// What `asked` holds beyond `known`, in its own words. A larger number of state: and threads: is more; action:* is
// every action.
std::vector<std::string> beyond(const std::set<std::string>& known, const std::vector<config::Permission>& asked);

std::string joined(const std::vector<std::string>& parts);  // "exec, threads:3"

}  // namespace hawser::supervisor
