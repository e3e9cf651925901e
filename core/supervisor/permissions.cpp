#include "core/supervisor/permissions.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <deque>

#include "core/base/encoding.hpp"

namespace hawser::supervisor {
namespace {

namespace fs = std::filesystem;
using config::Permission;
using Kind = config::Permission::Kind;

constexpr int kLinksMax = 40;          // as the kernel has it (path_resolution(7))
constexpr std::size_t kGlobsMax = 1024;  // of one pointer

bool is_pointer(const Permission& permission) {
  return permission.is_file() && permission.value.rfind(config::kConfigPointer, 0) == 0;
}

bool is_below(const std::string& path, const std::string& folder) {
  return path == folder || (path.size() > folder.size() && path[folder.size()] == '/' && path.rfind(folder, 0) == 0);
}

std::deque<std::string> parts_of(const std::string& path) {
  std::deque<std::string> parts;
  for (const auto& part : fs::path(path)) {
    if (part != "/" && !part.empty() && part != ".") parts.push_back(part.string());
  }
  return parts;
}

// Whether whoever has `wide` may also do `narrow`.
bool covers(const Permission& wide, const Permission& narrow) {
  const bool same_kind = wide.kind == narrow.kind;
  if (!same_kind && !(wide.kind == Kind::FileWrite && narrow.kind == Kind::FileRead)) return false;
  if (wide.value == narrow.value) return true;
  if (wide.kind == Kind::Action) return wide.value == "*";
  if (wide.kind == Kind::State || wide.kind == Kind::Threads) return std::stoll(wide.value) >= std::stoll(narrow.value);
  if (!wide.is_file() || is_pointer(wide) || is_pointer(narrow)) return false;
  const std::string folder = fixed_folder(wide.value);
  return wide.value == folder + "/**" && is_below(fixed_folder(narrow.value), folder);
}

// What is granted of `asked`: itself, or what of the operator's list is narrower.
std::vector<Permission> narrowed(const Permission& asked, const config::PluginSettings& settings) {
  if (!settings.permissions) return {asked};
  std::vector<Permission> granted;
  for (const Permission& named : *settings.permissions) {
    if (covers(named, asked)) return {asked};
    if (covers(asked, named)) granted.push_back(named);
  }
  return granted;
}

using Var = Poco::Dynamic::Var;

void collect(const Var& value, std::deque<std::string> parts, std::vector<std::string>& globs) {
  if (globs.size() >= kGlobsMax) return;
  const bool is_array = value.type() == typeid(json::Array);
  if (parts.empty() && value.isString()) {
    globs.push_back(value.convert<std::string>());
  } else if (is_array && (parts.empty() || parts.front() == "*")) {
    if (!parts.empty()) parts.pop_front();
    for (const auto& element : *value.extract<json::Array>()) {
      if (!parts.empty() || element.isString()) collect(element, parts, globs);
    }
  } else if (!parts.empty() && value.type() == typeid(json::Object)) {
    const std::string name = parts.front();
    parts.pop_front();
    const auto object = value.extract<json::Object>();
    if (object->has(name)) collect(object->get(name), std::move(parts), globs);
  }
}

std::vector<std::string> globs_of(const Permission& permission, const json::Object& config) {
  if (!is_pointer(permission)) return {permission.value};
  std::vector<std::string> globs;
  collect(Var(config), parts_of(permission.value.substr(config::kConfigPointer.size())), globs);
  std::sort(globs.begin(), globs.end());
  globs.erase(std::unique(globs.begin(), globs.end()), globs.end());
  return globs;
}

// Adds the rule of one glob to `paths`, and tells it in words.
std::string add_rule(const std::string& glob, bool write, const std::vector<std::string>& own,
                     std::vector<control::PathRule>& paths) {
  if (!config::is_glob(glob)) return "none for \"" + printable(glob, 80) + "\", which is no absolute path or glob";
  const std::string folder = fixed_folder(glob);
  const auto found = existing_folder(folder, own);
  if (!found) return "none for " + glob + ": " + found.error().message;
  if (write && !found->whole)
    return "none for " + glob + ": " + folder +
           " is not there, and what is above it is not opened for writing; make it and restart the plugin";
  const auto same = std::find_if(paths.begin(), paths.end(), [&](const auto& rule) { return rule.path == found->path; });
  if (same != paths.end()) {
    same->write |= write;
  } else if (paths.size() < kPathRulesMax) {
    paths.push_back({found->path, write});
  } else {
    return "none for " + glob + ": a plugin has at most " + std::to_string(kPathRulesMax) + " folders";
  }
  const std::string words = std::string(write ? "read and write " : "read ") + found->path + " and below";
  return found->whole ? words : words + ", for " + folder;
}

std::string file_rules(const Permission& permission, const config::PluginSettings& settings,
                       const std::vector<std::string>& own, std::vector<control::PathRule>& paths) {
  const auto globs = globs_of(permission, settings.config);
  if (globs.empty())
    return "none: [config] has nothing at " + permission.value.substr(config::kConfigPointer.size());
  std::vector<std::string> words;
  for (const auto& glob : globs) {
    auto one = add_rule(glob, permission.kind == Kind::FileWrite, own, paths);
    if (std::find(words.begin(), words.end(), one) == words.end()) words.push_back(std::move(one));
  }
  std::string all;
  for (const auto& one : words) all += (all.empty() ? "" : "; ") + one;
  return all;
}

std::string rule_of(const Permission& permission) {
  switch (permission.kind) {
    case Kind::Action:
      return permission.value == "*" ? "run any of its [actions]" : "run [actions." + permission.value + "]";
    case Kind::Listen:
      return "listen on ports of its choice";  // the host has no finer rule
    case Kind::State:
      return "up to " + permission.value + " bytes in its state folder";
    case Kind::Threads:
      return "up to " + permission.value + " threads";
    case Kind::Exec:
      return "start programs, with no more rights than its own";
    case Kind::FileRead:
    case Kind::FileWrite:
      break;
  }
  return "";
}

// Where the plugin itself can have made a link.
std::vector<std::string> own_folders(const std::vector<Permission>& granted, const config::PluginSettings& settings,
                                     const fs::path& state_dir) {
  std::vector<std::string> own{state_dir.string()};
  for (const Permission& permission : granted) {
    if (permission.kind != Kind::FileWrite) continue;
    for (const auto& glob : globs_of(permission, settings.config)) {
      if (config::is_glob(glob)) own.push_back(fixed_folder(glob));
    }
  }
  return own;
}

void add_remarks(const trust::Manifest& manifest, const config::PluginSettings& settings, Permissions& result) {
  if (!settings.permissions) return;
  for (const Permission& named : *settings.permissions) {
    const auto& asked = manifest.permissions;
    const bool known = std::any_of(asked.begin(), asked.end(),
                                   [&](const auto& one) { return covers(one, named) || covers(named, one); });
    if (!known)
      result.remarks.push_back(named.text() + " in " + settings.file.string() +
                               " grants nothing: the plugin's manifest does not ask for it");
  }
}

}  // namespace

bool Permissions::has(Kind kind) const {
  return std::any_of(granted.begin(), granted.end(), [kind](const auto& one) { return one.kind == kind; });
}

bool Permissions::may_run(const std::string& action) const {
  return std::any_of(granted.begin(), granted.end(),
                     [&](const auto& one) { return covers(one, {Kind::Action, action}); });
}

std::string fixed_folder(const std::string& glob) {
  const std::size_t wild = std::min(glob.find_first_of("*?[{\\"), glob.size());
  const std::size_t slash = glob.rfind('/', wild == glob.size() ? wild : wild - 1);
  return slash == 0 || slash == glob.npos ? "/" : glob.substr(0, slash);
}

Result<FoundFolder> existing_folder(const std::string& folder, const std::vector<std::string>& own) {
  auto parts = parts_of(folder);
  fs::path at = "/";
  for (int links = 0; !parts.empty();) {
    const std::string part = parts.front();
    if (part == "..") {  // of a link's text
      parts.pop_front();
      at = at.parent_path();
      continue;
    }
    const fs::path next = at / part;
    struct stat about {};
    if (::lstat(next.c_str(), &about) != 0) break;
    if (S_ISLNK(about.st_mode)) {
      const bool could_be_its_own = std::any_of(
          own.begin(), own.end(), [&](const std::string& mine) { return is_below(at.string(), mine); });
      if (could_be_its_own)
        return Error{"link", next.string() + " is a symbolic link in a folder that the plugin itself writes to; write "
                                             "the path that it leads to"};
      std::error_code problem;
      const fs::path target = fs::read_symlink(next, problem);
      if (problem || ++links > kLinksMax) return Error{"link", next.string() + " is a symbolic link that leads nowhere"};
      parts.pop_front();
      const auto more = parts_of(target.string());
      parts.insert(parts.begin(), more.begin(), more.end());
      if (target.is_absolute()) at = "/";
      continue;
    }
    if (!S_ISDIR(about.st_mode)) break;
    parts.pop_front();
    at = next;
  }
  if (at == "/")
    return Error{"root", folder == "/" ? "it would open the whole system"
                                       : folder + " is not there; make it and restart the plugin"};
  return FoundFolder{at.string(), parts.empty()};
}

Permissions permissions_of(const trust::Manifest& manifest, const config::PluginSettings& settings,
                           const fs::path& state_dir) {
  Permissions result;
  for (const Permission& asked : manifest.permissions) {
    const auto granted = narrowed(asked, settings);
    if (granted.empty())
      result.outcomes.push_back({asked.text(), false, "not granted: it is not in permissions of " + settings.file.string()});
    for (const Permission& one : granted) {
      if (std::find(result.granted.begin(), result.granted.end(), one) != result.granted.end()) continue;
      result.granted.push_back(one);
      result.outcomes.push_back({one.text(), true, ""});
    }
  }
  const auto own = own_folders(result.granted, settings, state_dir);
  std::size_t next = 0;
  for (auto& outcome : result.outcomes) {
    if (!outcome.granted) continue;
    const Permission& permission = result.granted[next++];
    outcome.rule =
        permission.is_file() ? file_rules(permission, settings, own, result.paths) : rule_of(permission);
  }
  add_remarks(manifest, settings, result);
  return result;
}

}  // namespace hawser::supervisor
