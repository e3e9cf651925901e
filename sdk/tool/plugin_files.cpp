#include "sdk/tool/plugin_files.hpp"

#include <cerrno>
#include <nlohmann/json.hpp>
#include <system_error>

#include "core/base/files.hpp"
#include "core/base/json.hpp"
#include "core/config/plugin_file.hpp"
#include "core/trust/plugin_folder.hpp"

namespace hawser::tool {

namespace fs = std::filesystem;

Result<fs::path> library_of(const fs::path& given) {
  std::error_code fault;
  const fs::path library = fs::is_directory(given, fault) ? given / trust::kLibraryFile : given;
  if (!fs::is_regular_file(library, fault))
    return Error{"plugin_missing",
                 library.string() + " is not there; build it first, or name the folder that holds plugin.so"};
  return fs::absolute(library);
}

Result<std::string> read_config(const fs::path& path) {
  const auto text = read_file(path, kConfigBytesMax);
  if (!text) return text.error();
  if (path.extension() == ".toml") {  // as hawserd reads it
    config::Faults faults;
    const auto settings = config::read_plugin_file(path.parent_path(), path.stem().string(), faults);
    if (faults.count() == 0) return json::to_text(settings.config);
    return Error{"config_refused", faults.faults().front()};
  }
  if (nlohmann::json::parse(*text, nullptr, false).is_object()) return *text;
  return Error{"config_refused", path.string() + " is not one JSON object; a file for plugins.d ends with .toml"};
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (fs::temp_directory_path() / "hawser-plugin-XXXXXX").string();
  if (!::mkdtemp(name.data())) throw std::system_error(errno, std::generic_category(), "making the folder " + name);
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace hawser::tool
