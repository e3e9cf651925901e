#include "sdk/tool/pack.hpp"

#include <nlohmann/json.hpp>

#include "core/base/files.hpp"
#include "core/trust/config_schema.hpp"
#include "core/trust/manifest.hpp"
#include "core/trust/plugin_folder.hpp"

namespace hawser::tool {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;  // keeps the members in the vendor's order

Result<Json> digests_of(const trust::OpenFiles& files, const fs::path& folder) {
  Json digests = Json::object();
  for (const auto& [name, file] : files) {
    if (name == trust::kManifestFile || name == trust::kSignatureFile) continue;
    auto digest = trust::sha256_of(file, (folder / name).string());
    if (!digest) return digest.error();
    digests[name] = *digest;
  }
  return digests;
}

// The manifest with the digests in it, checked as a device will check it.
Result<std::string> packed_text(const std::string& text, const Json& digests) {
  if (const auto before = trust::read_manifest(text); !before) return before.error();
  Json manifest = Json::parse(text);
  manifest["files"] = digests;
  std::string packed = manifest.dump(2) + "\n";
  if (packed.size() > trust::kManifestBytesMax)
    return Error{"manifest_refused", "with its digests the manifest is larger than the " +
                                         std::to_string(trust::kManifestBytesMax) + " bytes allowed"};
  if (const auto after = trust::read_manifest(packed); !after) return after.error();
  return packed;
}

}  // namespace

Result<Packed> pack(const fs::path& folder) {
  const auto files = trust::open_folder(folder);
  if (!files) return files.error();
  const fs::path manifest_file = folder / trust::kManifestFile;
  for (const char* name : {trust::kManifestFile, trust::kLibraryFile}) {
    if (files->count(name) == 0)
      return Error{"plugin_missing", (folder / name).string() + " is not there; build it first"};
  }
  const auto text =
      trust::read_whole(files->at(trust::kManifestFile), manifest_file.string(), trust::kManifestBytesMax);
  if (!text) return text.error();
  if (const auto status = trust::check_config_schema_in(*files, folder); !status) return status.error();
  const auto digests = digests_of(*files, folder);
  if (!digests) return digests.error();
  const auto packed = packed_text(*text, *digests);
  if (!packed) return packed.error().with_context(folder.string());
  const auto manifest = trust::read_manifest(*packed);
  Packed result{manifest->id, manifest->version.text(), {}, false};
  for (const auto& [name, digest] : manifest->files) result.files.push_back(name);
  if (*packed == *text) return result;
  if (const auto status = write_file_atomically(manifest_file, *packed, 0644); !status) return status.error();
  std::error_code ignored;
  result.signature_was_removed = fs::remove(folder / trust::kSignatureFile, ignored);
  return result;
}

}  // namespace hawser::tool
