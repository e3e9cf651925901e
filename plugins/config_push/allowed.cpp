#include "allowed.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

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

bool matches(std::string_view pattern, std::string_view path) {
  if (pattern.empty()) return path.empty();
  if (pattern[0] != '*') {
    if (path.empty() || (pattern[0] == '?' ? path[0] == '/' : path[0] != pattern[0])) return false;
    return matches(pattern.substr(1), path.substr(1));
  }
  const bool any_depth = pattern.starts_with("**");
  const std::string_view rest = pattern.substr(any_depth ? 2 : 1);
  for (std::size_t taken = 0;; ++taken) {
    if (matches(rest, path.substr(taken))) return true;
    if (taken == path.size() || (!any_depth && path[taken] == '/')) return false;
  }
}

bool is_allowed(const Allowed& allowed, std::string_view path) {
  return std::any_of(allowed.begin(), allowed.end(),
                     [&](const std::string& pattern) { return matches(pattern, path); });
}

}  // namespace hawser::config_push
