#pragma once

#include <cstddef>
#include <string_view>

#include "core/trust/plugin_folder.hpp"

namespace hawser::trust {

inline constexpr std::size_t kConfigSchemaBytesMax = 64 * 1024;

// Whether the text of a config.schema.json is a JSON Schema (draft 2020-12): one object, at every place of a schema an
// object or a boolean, and each keyword that constrains of the form that the draft gives it. Keywords that the draft
// does not know are annotations and pass. The Error names the place as a JSON pointer. Any thread; never throws.
Status check_config_schema(std::string_view text);
// That of a plugin's folder, if it has one; the Error names the file. Blocks on the disk.
Status check_config_schema_in(const OpenFiles& files, const std::filesystem::path& folder);

}  // namespace hawser::trust
