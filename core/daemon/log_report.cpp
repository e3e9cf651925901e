#include "core/daemon/log_report.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "core/base/log.hpp"

namespace hawser::daemon {
namespace {

// systemd.exec(5): the device and the inode of the journal's stream, where standard error is one.
bool is_journal(const struct stat& status) {
  const char* stream = std::getenv("JOURNAL_STREAM");
  return stream && std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino) == stream;
}

const char* kind_of_standard_error() {
  struct stat status {};
  if (::fstat(STDERR_FILENO, &status) != 0) return "nowhere";
  if (is_journal(status)) return "journal";
  if (S_ISREG(status.st_mode)) return "file";
  if (::isatty(STDERR_FILENO) == 1) return "terminal";
  return S_ISCHR(status.st_mode) ? "nowhere" : "pipe";  // /dev/null is the device that a service is given
}

}  // namespace

json::Object log_report() {
  auto report = json::make_object();
  const std::string kind = kind_of_standard_error();
  report->set("goes_to", kind);
  report->set("path", Poco::Dynamic::Var());
  std::error_code unknown;
  const auto path = std::filesystem::read_symlink("/proc/self/fd/2", unknown);
  if (kind == "file" && !unknown && std::filesystem::exists(path, unknown)) report->set("path", path.string());
  report->set("lines", log_tail());
  return report;
}

}  // namespace hawser::daemon
