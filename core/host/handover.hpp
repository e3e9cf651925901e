#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "core/base/result.hpp"

// What one version of a plugin leaves to the next in an upgrade (hws.handover/1): a file in the state folder, a line of
// JSON and then the plugin's own bytes.
namespace hawser::host {

inline constexpr std::size_t kHandoverBytesMax = 1024 * 1024;

struct Handover {
  std::uint32_t format = 0;  // the plugin's own number
  std::string version;       // of the plugin that saved it
  std::string content;
  std::string taken_by;  // a version on probation that has loaded it and started; empty: none
};

Status write_handover(const std::filesystem::path& state_dir, const Handover& handover);
// Nothing when there is none. One that is damaged is an error.
Result<std::optional<Handover>> read_handover(const std::filesystem::path& state_dir);
// It stays, for the version that saved it, and is not loaded again by this one.
Status note_taken(const std::filesystem::path& state_dir, const std::string& version);
// With the copy of the private state that lies beside it.
Status remove_handover(const std::filesystem::path& state_dir);

}  // namespace hawser::host
