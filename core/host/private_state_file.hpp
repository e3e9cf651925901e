#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "core/base/result.hpp"

// The file in which a plugin's private state stands (hws.state/1): `HWSTATE1`, how many entries, of each the length of
// key and value and then both, and a CRC32C over all of it; numbers of 32 bits, little-endian.
namespace hawser::host {

using StateEntries = std::map<std::string, std::string, std::less<>>;

inline constexpr std::size_t kStateKeyBytesMax = 128;
inline constexpr std::size_t kStateValueBytesMax = 64 * 1024;
inline constexpr std::size_t kStateKeysMax = 1024;
inline constexpr std::size_t kStateBytesMax = 256 * 1024;  // keys and values together

std::string to_bytes(const StateEntries& entries);
// Refuses, with a sentence, whatever to_bytes() could not have made.
Result<StateEntries> read_state(std::string_view bytes);

// The entries; none where there is no file. A damaged file is set aside as `<file>.damaged` and told in `remark`; one that
// cannot be read is an error.
Result<StateEntries> load_state(const std::filesystem::path& file, std::string& remark);
Status save_state(const std::filesystem::path& file, const StateEntries& entries);

// The copy that `version` leaves when another one takes its place: a line of JSON that names it, then to_bytes().
Status keep_state(const std::filesystem::path& copy, const std::string& version, const StateEntries& entries);
// That copy as the state again, should it be of this version. True: it was.
Result<bool> restore_state(const std::filesystem::path& copy, const std::string& version,
                           const std::filesystem::path& file);

}  // namespace hawser::host
