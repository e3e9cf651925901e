#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"
#include "core/config/permission.hpp"
#include "core/config/plugin_limits.hpp"
#include "core/trust/version.hpp"

namespace hawser::trust {

inline constexpr std::size_t kManifestBytesMax = 64 * 1024;
inline constexpr std::size_t kFilesMax = 128;  // of one plugin; each is held open while it is looked at
inline constexpr std::int64_t kAbiMajor = 1;   // the one that this agent's host speaks, sdk/include/hawser/plugin.h

// A service that a plugin offers to the cloud.
struct Service {
  std::string name;                    // [a-z0-9_]{1,64}
  std::vector<std::string> protocols;  // at least one, in order of preference
};

// What manifest.json says about a plugin, read without running it. Every member is checked: a Manifest is valid.
//   {"id":"acme.shell", "version":"1.2.0", "abi":{"major":1,"minor":0},
//    "services":[{"service":"shell","protocols":["acme.shell.v1"]}],
//    "permissions":["file.read:/etc/**"], "limits":{"memory_bytes":67108864},
//    "files":{"plugin.so":"<64 hexadecimal digits>"}}
// `permissions`, `limits` and `files` may be absent; other members are ignored, as a later manifest may have more.
struct Manifest {
  std::string id;  // two or more words of [a-z0-9_], joined by dots, at most 128 bytes
  Version version;
  std::int64_t abi_minor = 0;
  std::vector<Service> services;                // 1 to 16, each name once
  std::vector<config::Permission> permissions;  // asked, not granted
  config::PluginLimits limits;                  // asked, not granted
  // The sha256 of every file of its folder but the manifest and its signature, by path within it; empty: not packed.
  std::map<std::string, std::string> files;
};

// Reads the text of a manifest.json. The Error names the member that is wrong; code "abi_refused" for another ABI
// major, else "manifest_refused". Never throws.
Result<Manifest> read_manifest(std::string_view text);

bool is_plugin_id(std::string_view text);
bool is_service_name(std::string_view text);
bool is_sha256(std::string_view text);  // 64 of 0-9 and a-f

}  // namespace hawser::trust
