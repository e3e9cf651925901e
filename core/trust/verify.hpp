#pragma once

#include <atomic>
#include <filesystem>
#include <string>

#include "core/base/files.hpp"
#include "core/base/result.hpp"
#include "core/trust/manifest.hpp"
#include "core/trust/trust_store.hpp"

namespace hawser::trust {

// A plugin that may be loaded, as long as it is loaded through `library`.
struct VerifiedPlugin {
  Manifest manifest;
  std::string key_id;
  std::filesystem::path key_file;
  std::string digest;  // "sha256:<hex>" of plugin.so
  Descriptor library;  // plugin.so, opened once: the bytes that were checked, whatever stands at its name by now
};

// Whether a folder <id>/<version>/ is a plugin that a trusted key signed: owner and mode of each file, the signature of
// manifest.json, what that key may sign and until when, what is revoked, and the digest of every file. Nothing of the
// plugin is run. The Error is one sentence that names the rule and what to do; its code is signature_refused, that of
// read_manifest(), or "canceled" once `ending` is true. Blocks on the disk only; any thread.
Result<VerifiedPlugin> verify_plugin(const std::filesystem::path& folder, const TrustStore& store, Time now,
                                     const std::atomic<bool>* ending = nullptr);

}  // namespace hawser::trust
