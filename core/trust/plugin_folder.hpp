#pragma once

#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>

#include "core/base/files.hpp"
#include "core/base/result.hpp"

// A plugin's folder <id>/<version>/ as files that nobody but root, or who runs us, can have written. All of it blocks
// on the disk only. Errors are one sentence with the rule and the remedy, code signature_refused. Any thread.
namespace hawser::trust {

inline constexpr int kFoldersDeepMax = 8;
inline constexpr std::uint64_t kFolderBytesMax = std::uint64_t{512} * 1024 * 1024;

inline constexpr const char* kManifestFile = "manifest.json";
inline constexpr const char* kSignatureFile = "manifest.json.minisig";
inline constexpr const char* kLibraryFile = "plugin.so";
inline constexpr const char* kConfigSchemaFile = "config.schema.json";

// By their paths within the folder, "data/table.bin". What is read through these descriptors is read from the files
// that were looked at, whatever stands at their names by then.
using OpenFiles = std::map<std::string, Descriptor>;

// Every file of the folder. Refuses links, devices, what is not owned by root or by who runs us, and what others may
// write to.
Result<OpenFiles> open_folder(const std::filesystem::path& folder);

// The rule of owner and mode. A folder in which everybody may make files but not touch those of others (/tmp) passes
// where `shared` is true.
Status check_owner(const struct stat& about, const std::filesystem::path& path, bool shared = false);

// From its beginning, whatever was read before; `name` is for the sentence.
Result<std::string> read_whole(const Descriptor& file, const std::string& name, std::size_t bytes_max);
// 64 hexadecimal digits. Error "canceled" as soon as `ending`, where there is one, is true.
Result<std::string> sha256_of(const Descriptor& file, const std::string& name,
                              const std::atomic<bool>* ending = nullptr);

}  // namespace hawser::trust
