#include "core/trust/versions.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "core/base/files.hpp"

namespace hawser::trust {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kWantedBytesMax = 256;

}  // namespace

Result<std::vector<Version>> installed_versions(const fs::path& home) {
  std::vector<Version> versions;
  std::error_code problem;
  for (fs::directory_iterator at(home, problem), end; !problem && at != end; at.increment(problem)) {
    std::error_code unknown;
    if (!at->is_directory(unknown)) continue;
    if (auto version = Version::parse(at->path().filename().string())) versions.push_back(std::move(*version));
  }
  if (problem) {
    return Error{"plugin_missing", "the plugin is not installed: cannot read " + home.string() + ": " +
                                       problem.message() + "; install it there, or take it out of plugins.enabled"};
  }
  std::sort(versions.begin(), versions.end());
  return versions;
}

Result<Version> wanted_version(const fs::path& home) {
  auto versions = installed_versions(home);
  if (!versions) return versions.error();
  if (versions->empty())
    return Error{"plugin_missing", home.string() + " has no folder with a version as its name, as in 1.2.3"};
  if (const auto text = read_file(home / kWantedFile, kWantedBytesMax)) {
    const std::string wanted = text->substr(0, text->find('\n'));
    for (auto& version : *versions) {
      if (version.text() == wanted) return std::move(version);
    }
  }
  return std::move(versions->back());
}

Status sync_folder(const fs::path& folder) {
  const Descriptor opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened && ::fsync(opened.get()) == 0) return ok();
  return Error{"io_error", "cannot sync " + folder.string() + ": " + std::strerror(errno)};
}

Status want_version(const fs::path& home, const Version& version) {
  const auto versions = installed_versions(home);
  if (!versions) return versions.error();
  const fs::path file = home / kWantedFile;
  if (!versions->empty() && version < versions->back()) return write_file_atomically(file, version.text() + "\n", 0644);
  std::error_code problem;
  const bool gone = fs::remove(file, problem);
  if (problem) return Error{"io_error", "cannot remove " + file.string() + ": " + problem.message()};
  return gone ? sync_folder(home) : ok();
}

}  // namespace hawser::trust
