#include "core/supervisor/end_cause.hpp"

#include <csignal>

namespace hawser::supervisor {
namespace {

// One row is a signal that a wall or a hand of ours or of others explains; every other one is a crash.
struct Row {
  int signal;
  const char* code;
  const char* hint;
  const char* lifted_by;  // in the operator's file; empty: by nothing there
};
constexpr Row kRows[] = {
    {SIGKILL, "killed", ": by hand, or by the kernel for lack of memory", ""},
    {SIGTERM, "killed", ": by hand", ""},
    {SIGINT, "killed", ": by hand", ""},
    {SIGQUIT, "killed", ": by hand", ""},
    {SIGSYS, "crashed", ": a system call that its walls do not allow; a permission may", "permissions"},
    {SIGXFSZ, "over_budget", ": a file over its limit", "disk_bytes under [limits]"},
    {SIGXCPU, "over_budget", ": more processor time than its limit", "cpu_percent under [limits]"},
};

}  // namespace

Error end_cause(const ExitCause& cause, const std::string& place, const std::string& file) {
  const std::string where = place.empty() ? "" : " " + place;
  if (cause.exit_code) return {"exited", "the host " + cause.sentence() + where + ", which nobody asked it to"};
  for (const Row& row : kRows) {
    if (row.signal != cause.signal) continue;
    const std::string lift = row.lifted_by[0] == '\0' ? "" : std::string("; see ") + row.lifted_by + " in " + file;
    return {row.code, "the host " + cause.sentence() + where + row.hint + lift};
  }
  return {"crashed", "the host " + cause.sentence() + where};
}

}  // namespace hawser::supervisor
