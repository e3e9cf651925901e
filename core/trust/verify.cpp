#include "core/trust/verify.hpp"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "core/base/encoding.hpp"
#include "core/trust/config_schema.hpp"
#include "core/trust/plugin_folder.hpp"

namespace hawser::trust {
namespace {

namespace fs = std::filesystem;

Error refuse(const std::string& sentence) { return {"signature_refused", sentence}; }

// Whoever can rename the folder could put another in its place.
Status check_parent(const fs::path& folder) {
  struct stat about {};
  const fs::path parent = folder / "..";
  if (::stat(parent.c_str(), &about) != 0)
    return refuse("cannot look at " + parent.string() + ": " + std::strerror(errno));
  return check_owner(about, parent.lexically_normal(), true);
}

Result<std::string> read_named(const OpenFiles& files, const fs::path& folder, const char* name, std::size_t bytes_max,
                               const std::string& when_missing) {
  const auto found = files.find(name);
  const std::string path = (folder / name).string();
  if (found == files.end()) return refuse(path + " is not there: " + when_missing);
  return read_whole(found->second, path, bytes_max);
}

// The key that made the signature, when all that the operator says about it lets it pass.
Result<const TrustedKey*> key_for(const Signature& signature, const std::string& where, const TrustStore& store,
                                  Time now) {
  const std::string& id = signature.key_id;
  const fs::path& trust = store.folder();
  if (store.broken()) return *store.broken();
  if (store.is_revoked_key(id))
    return refuse(where + " is by key " + id + ", which " + (trust / kRevokedFile).string() +
                  " revokes; install a version that another key signed");
  const TrustedKey* const key = store.find(id);
  if (!key)
    return refuse(where + " is by key " + id +
                  ", which is not trusted: put the vendor's public key and the ids that it may "
                  "sign into " +
                  trust.string() + ", if you trust it");
  if (key->until && now >= *key->until)
    return refuse(where + " is by key " + id + ", which was good until " + key->last_day + " (" + key->file.string() +
                  "); install a version that a newer key signed, or have the clock set right");
  return key;
}

Status check_place(const Manifest& manifest, const fs::path& folder) {
  std::error_code problem;
  const fs::path real = fs::canonical(folder, problem);
  const fs::path wanted = fs::path(manifest.id) / manifest.version.text();
  if (!problem && real.filename() == wanted.filename() && real.parent_path().filename() == wanted.parent_path())
    return ok();
  return Error{"manifest_refused", folder.string() + " holds " + manifest.id + " " + manifest.version.text() +
                                       ", whose folder must be " + wanted.string()};
}

Status check_file(const std::string& name, const std::string& path, const Descriptor& file, const Manifest& manifest,
                  const TrustStore& store, const std::atomic<bool>* ending) {
  const auto listed = manifest.files.find(name);
  if (listed == manifest.files.end())
    return refuse(path +
                  " is not among the files of manifest.json, so nobody signed it; remove it, or have the plugin "
                  "packed and signed with it");
  const auto digest = sha256_of(file, path, ending);
  if (!digest) return digest.error();
  if (*digest != listed->second)
    return refuse(path + " is not the file that was signed: its sha256 is " + *digest + ", manifest.json says " +
                  listed->second + "; install the plugin again");
  if (store.is_revoked_digest(*digest))
    return refuse(path + " is revoked: " + (store.folder() / kRevokedFile).string() + " names sha256:" + *digest +
                  "; install another version");
  return ok();
}

Status check_files(const OpenFiles& files, const fs::path& folder, const Manifest& manifest, const TrustStore& store,
                   const std::atomic<bool>* ending) {
  for (const auto& [name, digest] : manifest.files) {
    if (files.count(name) == 0)
      return refuse((folder / name).string() +
                    " is among the files of manifest.json, but not there; install the plugin again");
  }
  for (const auto& [name, file] : files) {
    if (name == kManifestFile || name == kSignatureFile) continue;
    const std::string path = printable((folder / name).string(), 512);
    if (auto status = check_file(name, path, file, manifest, store, ending); !status) return status;
  }
  if (files.count(kLibraryFile) == 0)
    return Error{"plugin_missing", (folder / kLibraryFile).string() + " is not there; install the plugin again"};
  return ok();
}

struct SignedManifest {
  Manifest manifest;
  const TrustedKey* key;
};

Result<SignedManifest> read_signed(const OpenFiles& files, const fs::path& folder, const TrustStore& store, Time now) {
  const auto text =
      read_named(files, folder, kManifestFile, kManifestBytesMax, "the plugin has no manifest; install it again");
  if (!text) return text.error();
  const auto signature_text = read_named(
      files, folder, kSignatureFile, kSignatureFileBytesMax,
      "the plugin is not signed; have its vendor sign it (hawser-plugin pack, minisign), or load what nobody "
      "signed by plugins.development_mode = true");
  if (!signature_text) return signature_text.error();
  const std::string where = (folder / kSignatureFile).string();
  const auto signature = read_signature(*signature_text);
  if (!signature) return signature.error().with_context(where);
  const auto key = key_for(*signature, where, store, now);
  if (!key) return key.error();
  if (const auto status = check_signature(*signature, (*key)->key, *text); !status)
    return refuse(where + " " + status.error().message + "; install the plugin again, or have it signed again");
  const std::string file = (folder / kManifestFile).string();
  if (store.is_revoked_digest(hex(sha256(*text))))
    return refuse(file + " is revoked by " + (store.folder() / kRevokedFile).string() + "; install another version");
  auto manifest = read_manifest(*text);
  if (!manifest) return Error{manifest.error().code, manifest.error().message + " (" + file + ")"};
  if (!(*key)->may_sign(manifest->id))
    return refuse(file + " is of " + manifest->id + ", which key " + (*key)->key.id +
                  " may not sign; add it to ids of " + (*key)->companion().string() + ", if that vendor may ship it");
  return SignedManifest{std::move(*manifest), *key};
}

}  // namespace

Result<VerifiedPlugin> verify_plugin(const fs::path& named, const TrustStore& store, Time now,
                                     const std::atomic<bool>* ending) {
  const fs::path folder = named.has_filename() ? named : named.parent_path();  // "x/" would follow a link x
  auto files = open_folder(folder);
  if (!files) return files.error();
  if (const auto status = check_parent(folder); !status) return status.error();
  auto read = read_signed(*files, folder, store, now);
  if (!read) return read.error();
  const Manifest& manifest = read->manifest;
  if (const auto status = check_place(manifest, folder); !status) return status.error();
  if (const auto status = check_files(*files, folder, manifest, store, ending); !status) return status.error();
  if (const auto status = check_config_schema_in(*files, folder); !status) return status.error();
  return VerifiedPlugin{manifest, read->key->key.id, read->key->file, "sha256:" + manifest.files.at(kLibraryFile),
                        std::move(files->at(kLibraryFile))};
}

}  // namespace hawser::trust
