#include "config.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "limits.hpp"

namespace hawser::log_upload {

namespace {

using Json = nlohmann::json;

bool is_name(const std::string& text) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.';
  };
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), good);
}

bool is_path(const Json& value) {
  if (!value.is_string()) return false;
  const auto& path = value.get_ref<const std::string&>();
  return path.size() > 1 && path.size() < 4096 && path[0] == '/' && path.back() != '/' &&
         path.find('\0') == std::string::npos;
}

// An empty text, or what is wrong with this source.
std::string read_source(const Json& json, Source& source) {
  if (!json.is_object()) return "each of sources must be a table with name and paths";
  for (const auto& [key, value] : json.items()) {
    if (key != "name" && key != "paths" && key != "from") return "a source has no setting \"" + key + "\"";
  }
  const Json name = json.value("name", Json());
  if (!name.is_string() || !is_name(name)) return "a source needs a name of 1 to 64 letters, digits, dots, _ and -";
  source.name = name;
  const Json paths = json.value("paths", Json());
  if (!paths.is_array() || paths.empty() || paths.size() > kPathsMax) {
    return "source " + source.name + " needs paths, a list of 1 to 64 patterns like \"/var/log/app/*.log\"";
  }
  for (const Json& path : paths) {
    if (!is_path(path)) return "source " + source.name + ": each of paths must begin with / and name files";
    source.paths.push_back(path);
  }
  const Json from = json.value("from", Json("beginning"));
  if (from != "beginning" && from != "end") return "source " + source.name + ": from must be \"beginning\" or \"end\"";
  source.from_end = from == "end";
  return {};
}

}  // namespace

std::variant<Sources, std::string> sources_from_config(std::string_view text) {
  const Json config = Json::parse(text, nullptr, false);
  if (!config.is_object()) return "the configuration is not a JSON object";
  for (const auto& [key, value] : config.items()) {
    if (key != "sources") return "there is no setting \"" + key + "\"; the only one is \"sources\"";
  }
  const Json list = config.value("sources", Json::array());
  if (!list.is_array() || list.size() > kSourcesMax) return "sources must be a list of at most 64 tables";
  Sources sources;
  for (const Json& json : list) {
    Source source;
    if (std::string why = read_source(json, source); !why.empty()) return why;
    for (const Source& other : sources) {
      if (other.name == source.name) return "two sources are named " + source.name;
    }
    sources.push_back(std::move(source));
  }
  return sources;
}

}  // namespace hawser::log_upload
