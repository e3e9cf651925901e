#include "core/daemon/process_usage.hpp"

#include <unistd.h>

#include <sstream>
#include <string>

#include "core/base/files.hpp"

namespace hawser::daemon {
namespace {

constexpr std::size_t kProcFileBytesMax = 64 * 1024;

std::optional<std::int64_t> cpu_ms_of(const std::string& folder) {
  const auto text = read_file(folder + "/stat", kProcFileBytesMax);
  if (!text) return std::nullopt;
  // proc(5): the second field is the name in parentheses and may hold anything; utime and stime are 14 and 15.
  const auto name_end = text->rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream fields(text->substr(name_end + 1));
  std::string skipped;
  for (int field = 3; field < 14; ++field) fields >> skipped;
  std::int64_t user = 0, system = 0;
  if (!(fields >> user >> system)) return std::nullopt;
  return (user + system) * 1000 / ::sysconf(_SC_CLK_TCK);
}

std::optional<std::int64_t> pss_kib_of(const std::string& folder) {
  const auto text = read_file(folder + "/smaps_rollup", kProcFileBytesMax);
  if (!text) return std::nullopt;
  const auto at = text->find("\nPss:");
  if (at == std::string::npos) return std::nullopt;
  std::istringstream number(text->substr(at + 5));
  std::int64_t kib = 0;
  return number >> kib ? std::optional(kib) : std::nullopt;
}

}  // namespace

ProcessUsage usage_of(pid_t pid) {
  const std::string folder = "/proc/" + std::to_string(pid);
  return {cpu_ms_of(folder), pss_kib_of(folder)};
}

}  // namespace hawser::daemon
