#include "cloud/api/plugin_bundles.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"
#include "core/trust/bundle.hpp"
#include "core/trust/manifest.hpp"
#include "core/trust/plugin_folder.hpp"

namespace hawser::cloud {
namespace {

namespace fs = std::filesystem;

// A folder that is gone with this object.
class ScratchFolder {
 public:
  ScratchFolder() : path_((fs::temp_directory_path() / "hawser-cloud-XXXXXX").string()) {
    if (!::mkdtemp(path_.data())) path_.clear();
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  ~ScratchFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Who owns the database serves what is uploaded.
void give_to_owner_of(const std::string& database, const fs::path& path) {
  struct stat about {};
  if (::geteuid() != 0 || ::stat(database.c_str(), &about) != 0) return;
  [[maybe_unused]] const int given = ::chown(path.c_str(), about.st_uid, about.st_gid);
}

}  // namespace

fs::path plugin_bundle_folder(const Settings& settings) {
  return fs::path(settings.database).parent_path() / "plugins";
}

Result<PluginBundle> read_plugin_bundle(const fs::path& file) {
  const auto content = read_file(file, kUploadedPluginBytesMax);
  if (!content) return content.error();
  const ScratchFolder scratch;
  if (scratch.path().empty())
    return Error{"io_error", std::string("cannot make a temporary folder: ") + std::strerror(errno)};
  if (auto unpacked = trust::unpack_bundle(file, scratch.path()); !unpacked) return unpacked.error();
  const auto text = read_file(fs::path(scratch.path()) / trust::kManifestFile, trust::kManifestBytesMax);
  if (!text)
    return Error{"manifest_missing", file.string() + " has no manifest.json that can be read; have it packed again"};
  const auto manifest = trust::read_manifest(*text);
  if (!manifest) return manifest.error().with_context(file.string());
  PluginBundle bundle;
  bundle.plugin = manifest->id;
  bundle.version = manifest->version.text();
  bundle.sha256 = hex(sha256(*content));
  bundle.bytes = static_cast<std::int64_t>(content->size());
  return bundle;
}

Status keep_plugin_bundle(const Settings& settings, const fs::path& from, const PluginBundle& bundle) {
  const fs::path folder = plugin_bundle_folder(settings);
  if (auto made = make_folder(folder, 0700); !made) return made;
  const auto content = read_file(from, kUploadedPluginBytesMax);
  if (!content) return content.error();
  if (hex(sha256(*content)) != bundle.sha256) return Error{"io_error", from.string() + " changed while it was read"};
  if (auto written = write_file_atomically(bundle.file, *content, 0600); !written) return written;
  give_to_owner_of(settings.database, folder);
  give_to_owner_of(settings.database, bundle.file);
  return ok();
}

}  // namespace hawser::cloud
