#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "core/base/file_writer.hpp"
#include "core/config/settings.hpp"
#include "core/supervisor/plugin_store.hpp"

namespace hawser::supervisor {

// What a plugin was made of when it failed: its file, and what the operator had set for it. Another of either is another
// chance.
struct PluginMake {
  std::string file, settings;  // "sha256:<hex>" each
  bool operator==(const PluginMake&) const = default;
};
PluginMake make_of(const FoundPlugin& plugin, const config::PluginSettings& settings);

// The plugins that failed too often (iso-5), kept over restarts: one small JSON file in the state folder.
// Owned by the supervisor, lives on the loop's thread, which never waits for the disk but at the start.
class Quarantine {
 public:
  static constexpr std::size_t kPluginsMax = 256;
  static constexpr std::size_t kBytesMax = 512 * 1024;

  // A file that is damaged holds nobody, with a warning: rather one that fails again than one that never runs.
  explicit Quarantine(std::filesystem::path file);

  struct Entry {
    PluginMake make;
    std::string at;   // RFC 3339
    std::string why;  // one sentence, safe to show
  };
  const Entry* find(const std::string& plugin) const;  // null when there is none
  void put(const std::string& plugin, Entry entry);
  bool release(const std::string& plugin);  // false: it was not there

 private:
  void read();
  void write();

  const std::filesystem::path file_;
  std::map<std::string, Entry> entries_;
  FileWriter writer_{std::chrono::milliseconds{0}};  // seldom, and then at once
};

}  // namespace hawser::supervisor
