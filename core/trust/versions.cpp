#include "core/trust/versions.hpp"

#include <algorithm>

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

Status want_version(const fs::path& home, const Version& version) {
  const auto versions = installed_versions(home);
  if (!versions) return versions.error();
  const fs::path file = home / kWantedFile;
  if (!versions->empty() && version < versions->back()) return write_file_atomically(file, version.text() + "\n", 0644);
  std::error_code problem;
  fs::remove(file, problem);
  if (problem) return Error{"io_error", "cannot remove " + file.string() + ": " + problem.message()};
  return ok();
}

}  // namespace hawser::trust
