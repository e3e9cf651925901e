#include "sdk/tool/lint.hpp"

#include <algorithm>
#include <array>
#include <regex>
#include <sstream>

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"
#include "core/trust/config_schema.hpp"
#include "core/trust/manifest.hpp"
#include "core/trust/plugin_folder.hpp"

namespace hawser::tool {
namespace {

namespace fs = std::filesystem;

constexpr const char* kAllow = "hawser-lint: allow";
constexpr const char* kBuildFile = "CMakeLists.txt";
constexpr std::array kSuffixes = {".c", ".h", ".cc", ".cpp", ".cxx", ".hpp", ".rs", ".go"};

// A call that a plugin must not make.
struct Rule {
  std::string_view call;  // the name before the bracket; for a macro-like one, as written
  std::string_view why;
  std::string_view instead;
  bool with_exec = false;  // allowed to who asks for the permission exec
};

constexpr Rule kRules[] = {
    {"sleep", "a callback that waits stalls the instance (R6)", "use a timer"},
    {"usleep", "a callback that waits stalls the instance (R6)", "use a timer"},
    {"nanosleep", "a callback that waits stalls the instance (R6)", "use a timer"},
    {"sleep_for", "a callback that waits stalls the instance (R6)", "use a timer"},
    {"sleep_until", "a callback that waits stalls the instance (R6)", "use a timer"},
    {"exit", "it ends the host, which counts as a crash", "report HWS_FAULTED with a sentence"},
    {"_exit", "it ends the host, which counts as a crash", "report HWS_FAULTED with a sentence"},
    {"quick_exit", "it ends the host, which counts as a crash", "report HWS_FAULTED with a sentence"},
    {"abort", "it ends the host, which counts as a crash", "report HWS_FAULTED with a sentence"},
    {"longjmp", "no jump crosses the boundary (R5)", "return a status"},
    {"signal", "signals are the host's (R5)", "watch a descriptor, or use a timer"},
    {"sigaction", "signals are the host's (R5)", "watch a descriptor, or use a timer"},
    {"system", "hosts start no processes", "let the operator define an action and run it by name, or ask for `exec`",
     true},
    {"popen", "hosts start no processes", "let the operator define an action and run it by name, or ask for `exec`",
     true},
    {"fork", "hosts start no processes", "let the operator define an action and run it by name, or ask for `exec`",
     true},
    {"execve", "hosts start no processes", "let the operator define an action and run it by name, or ask for `exec`",
     true},
    {"posix_spawn", "hosts start no processes",
     "let the operator define an action and run it by name, or ask for `exec`", true},
    {"printf", "nobody reads a host's standard output", "use log() of the host"},
    {"puts", "nobody reads a host's standard output", "use log() of the host"},
    {"setenv", "the environment is empty and stays so", "take settings from the configuration"},
    {"setuid", "the host's user is given, for good", "ask for permissions in the manifest"},
    {"chdir", "the folder belongs to the process, not to the plugin", "use plugin.state_dir and whole paths"},
};

// The text without comments and what stands in quotes; lines stay where they are.
std::string code_of(std::string_view text) {
  std::string code(text);
  enum { plain, line, block, quoted, letter } in = plain;
  for (std::size_t i = 0; i < code.size(); ++i) {
    const char c = text[i], next = i + 1 < text.size() ? text[i + 1] : '\0';
    const auto was = in;
    if (in == plain && c == '/' && next == '/')
      in = line;
    else if (in == plain && c == '/' && next == '*')
      in = block;
    else if (in == plain && c == '"')
      in = quoted;
    else if (in == plain && c == '\'' && next != '\0' && i + 2 < text.size() && (text[i + 2] == '\'' || next == '\\'))
      in = letter;
    else if (in == line && c == '\n')
      in = plain;
    else if (in == block && c == '*' && next == '/')
      in = plain;
    else if (((in == quoted && c == '"') || (in == letter && c == '\'')))
      in = plain;
    else if ((in == quoted || in == letter) && c == '\\' && next != '\0')
      code[i++] = ' ';
    if ((was != plain || in != plain) && text[i] != '\n') code[i] = ' ';
  }
  return code;
}

bool is_of_a_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// Whether the line calls the function, as its own name and not as a member's.
bool calls(std::string_view line, std::string_view function) {
  for (auto at = line.find(function); at != line.npos; at = line.find(function, at + 1)) {
    const std::string_view before = line.substr(0, at), after = line.substr(at + function.size());
    const auto bracket = after.find_first_not_of(' ');
    if (bracket == after.npos || after[bracket] != '(') continue;
    if (before.empty()) return true;
    if (is_of_a_name(before.back()) || before.back() == '.' || before.ends_with("->")) continue;
    // `void exit(int)` declares one of that name.
    const auto word = before.find_last_not_of(' ');
    if (word != before.npos && is_of_a_name(before[word]) && !before.substr(0, word + 1).ends_with("return")) continue;
    return true;
  }
  return false;
}

void lint_source(const fs::path& file, const std::string& text, bool may_exec, std::vector<std::string>& faults) {
  const std::string code = code_of(text);
  std::size_t begin = 0;
  for (unsigned number = 1; begin < code.size(); ++number) {
    const std::size_t end = std::min(code.find('\n', begin), code.size());
    const std::string_view line = std::string_view(code).substr(begin, end - begin);
    const bool allowed = std::string_view(text).substr(begin, end - begin).find(kAllow) != std::string_view::npos;
    for (const Rule& rule : kRules) {
      if (allowed || (rule.with_exec && may_exec) || !calls(line, rule.call)) continue;
      faults.push_back(file.string() + ":" + std::to_string(number) + ": " + std::string(rule.call) +
                       "(): " + std::string(rule.why) + "; " + std::string(rule.instead));
    }
    begin = end + 1;
  }
}

void lint_build_file(const fs::path& file, const trust::Manifest& manifest, std::vector<std::string>& faults) {
  const auto text = read_file(file, kSourceBytesMax);
  if (!text) return;  // another build system
  static constexpr std::string_view kCall = "hawser_add_plugin(";
  for (auto at = text->find(kCall); at != text->npos; at = text->find(kCall, at + 1)) {
    std::istringstream arguments(text->substr(at + kCall.size(), text->find(')', at) - at - kCall.size()));
    for (std::string word, value; arguments >> word;) {
      if ((word != "ID" && word != "VERSION") || !(arguments >> value) || value.find('$') != value.npos) continue;
      std::erase(value, '"');
      const std::string wanted = word == "ID" ? manifest.id : manifest.version.text();
      if (value != wanted)
        faults.push_back(file.string() + ": " + word + " is " + printable(value) + ", manifest.json says " + wanted +
                         "; write the same in both");
    }
  }
}

void lint_manifest(const fs::path& file, const trust::Manifest& manifest, std::vector<std::string>& faults) {
  static const std::regex protocol(R"([a-z0-9_-]+\.[A-Za-z0-9_.-]+\.v[0-9]+)");
  for (const auto& service : manifest.services) {
    for (const auto& name : service.protocols) {
      if (!std::regex_match(name, protocol))
        faults.push_back(file.string() + ": the protocol " + printable(name) + " of " + service.name +
                         " names no owner and version; call it <owner>." + service.name + ".v1");
    }
  }
  if (manifest.id.starts_with("com.example."))
    faults.push_back(file.string() + ": the id " + manifest.id +
                     " is the one of an example; take one that begins with a domain of yours");
}

std::vector<fs::path> sources_in(const fs::path& folder) {
  std::vector<fs::path> sources;
  std::error_code fault;
  fs::recursive_directory_iterator at(folder, fs::directory_options::skip_permission_denied, fault);
  for (; !fault && at != fs::recursive_directory_iterator() && sources.size() < kSourcesMax; at.increment(fault)) {
    const fs::path& path = at->path();
    const std::string name = path.filename().string();
    const bool built = fs::exists(path / "CMakeCache.txt", fault) || name == "target" || name.starts_with(".");
    if (at->is_directory(fault) && built) at.disable_recursion_pending();
    const bool wanted = std::find(kSuffixes.begin(), kSuffixes.end(), path.extension().string()) != kSuffixes.end();
    if (wanted && at->is_regular_file(fault) && name.find("test") == name.npos) sources.push_back(path);
    fault.clear();
  }
  std::sort(sources.begin(), sources.end());
  return sources;
}

}  // namespace

Result<std::vector<std::string>> lint(const fs::path& folder) {
  const fs::path manifest_file = folder / trust::kManifestFile, schema_file = folder / trust::kConfigSchemaFile;
  const auto text = read_file(manifest_file, trust::kManifestBytesMax);
  if (!text) return text.error();
  std::vector<std::string> faults;
  const auto manifest = trust::read_manifest(*text);
  bool may_exec = false;
  if (manifest) {
    lint_manifest(manifest_file, *manifest, faults);
    lint_build_file(folder / kBuildFile, *manifest, faults);
    may_exec = std::any_of(manifest->permissions.begin(), manifest->permissions.end(),
                           [](const auto& one) { return one.kind == config::Permission::Kind::Exec; });
  } else {
    faults.push_back(folder.string() + "/" + manifest.error().message);  // which begins with the file
  }
  std::error_code fault;
  if (fs::exists(schema_file, fault)) {
    const auto schema = read_file(schema_file, trust::kConfigSchemaBytesMax);
    const auto status = schema ? trust::check_config_schema(*schema) : Status(schema.error());
    if (!status) faults.push_back(schema_file.string() + ": " + status.error().message);
  }
  for (const auto& file : sources_in(folder)) {
    const auto source = read_file(file, kSourceBytesMax);
    if (source)
      lint_source(file, *source, may_exec, faults);
    else
      faults.push_back(source.error().message);
  }
  return faults;
}

}  // namespace hawser::tool
