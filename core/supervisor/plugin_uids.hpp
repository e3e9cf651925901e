#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "core/base/result.hpp"

namespace hawser::supervisor {

// A uid for each plugin id, the same for as long as the state folder lives: kept in its file plugin_uids.
// Owned by the supervisor, lives on the loop's thread. Blocks on the disk.
class PluginUids {
 public:
  static constexpr const char* kFile = "plugin_uids";
  // Reads what is kept; what is damaged or outside the range is given anew. `first`: config's first_uid.
  PluginUids(std::filesystem::path state_dir, std::int64_t first);

  // Nothing (and a log line) when every uid of the range is taken.
  std::optional<uid_t> uid_of(const std::string& plugin);
  void set_first(std::int64_t first);

 private:
  bool is_taken(std::int64_t uid) const;
  void forget_strangers();

  std::filesystem::path state_dir_;
  std::int64_t first_;
  std::map<std::string, std::int64_t> uids_;
};

// Makes the plugin's state folder, 0700, and gives it with all that root left in it to `uid`, once. No link is followed,
// and what has several names is left as it is. Without `uid`: as the agent's own. Blocks on the disk.
Status prepare_state_folder(const std::filesystem::path& folder, std::optional<uid_t> uid);

}  // namespace hawser::supervisor
