#include "allowed.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "limits.hpp"

namespace hawser::config_push {

using Json = nlohmann::json;

std::variant<Allowed, std::string> allowed_from_config(std::string_view text) {
  const Json config = Json::parse(text, nullptr, false);
  if (!config.is_object()) return "the configuration is not a JSON object";
  for (const auto& [key, value] : config.items()) {
    if (key != "allowed") return "there is no setting \"" + key + "\"; the only one is \"allowed\"";
  }
  const Json list = config.value("allowed", Json::array());
  if (!list.is_array() || list.size() > kAllowedMax) return "allowed must be a list of at most 64 patterns";
  Allowed allowed;
  for (const Json& one : list) {
    if (!one.is_string() || !is_plain_path(one.get_ref<const std::string&>())) {
      return "each of allowed must be an absolute path without \"..\", for example \"/etc/app/**\"";
    }
    allowed.push_back(one);
  }
  return allowed;
}

bool is_plain_path(std::string_view path) {
  if (path.size() < 2 || path.size() > kPathBytesMax || path[0] != '/' || path.back() == '/') return false;
  if (std::any_of(path.begin(), path.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; })) {
    return false;
  }
  while (!path.empty()) {
    path.remove_prefix(1);
    const std::string_view component = path.substr(0, path.find('/'));
    if (component.empty() || component == "." || component == ".." || component.size() > 255) return false;
    path.remove_prefix(component.size());
  }
  return true;
}

// `reached[i]`: the pattern's first so many parts match the path up to here. A pattern with many stars takes no longer
// than its length times the path's, where trying each would take years.
bool matches(std::string_view pattern, std::string_view path) {
  std::vector<std::string_view> parts;  // one character each, or "*", or "**"
  for (std::size_t at = 0; at < pattern.size(); at += parts.back().size()) {
    parts.push_back(pattern.substr(at, pattern.substr(at).starts_with("**") ? 2 : 1));
  }
  std::vector<bool> reached(parts.size() + 1);
  const auto stars_may_be_empty = [&] {
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (reached[i] && parts[i][0] == '*') reached[i + 1] = true;
    }
  };
  reached[0] = true;
  stars_may_be_empty();
  for (const char c : path) {
    for (std::size_t i = parts.size(); i > 0; --i) {
      const std::string_view part = parts[i - 1];
      if (part[0] == '*') {
        reached[i] = reached[i] && (part.size() == 2 || c != '/');
      } else {
        reached[i] = reached[i - 1] && (part[0] == '?' ? c != '/' : c == part[0]);
      }
    }
    reached[0] = false;
    stars_may_be_empty();
  }
  return reached[parts.size()];
}

bool is_allowed(const Allowed& allowed, std::string_view path) {
  return std::any_of(allowed.begin(), allowed.end(),
                     [&](const std::string& pattern) { return matches(pattern, path); });
}

}  // namespace hawser::config_push
