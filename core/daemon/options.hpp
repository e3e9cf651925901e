#pragma once

#include <filesystem>
#include <optional>

namespace hawser::daemon {

// Exit codes, of sysexits(3) where they say the right thing.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 64;
inline constexpr int kExitLocked = 75;  // another instance runs
inline constexpr int kExitConfig = 78;

struct Options {
  std::filesystem::path config_dir = "/etc/hawser";
  std::filesystem::path state_dir = "/var/lib/hawser";
  std::filesystem::path runtime_dir = "/run/hawser";
  std::filesystem::path plugin_dir = HAWSER_PLUGIN_DIR;
  std::filesystem::path host_program = HAWSER_HOST_PROGRAM;
  std::filesystem::path ctl_program = HAWSER_CTL_PROGRAM;
  bool check = false;
};

struct ParsedOptions {
  Options options;
  std::optional<int> exit;  // what to end with at once: help and version were printed, or a fault was
};

ParsedOptions parse_options(int count, const char* const* arguments);

}  // namespace hawser::daemon
