#include "sdk/tool/new_project.hpp"

#include <cctype>

#include "core/base/encoding.hpp"
#include "core/base/files.hpp"
#include "core/trust/manifest.hpp"

namespace hawser::tool {
namespace {

namespace fs = std::filesystem;

struct Name {
  std::string_view in_template;
  std::string own;
};

std::string class_of(const std::string& service) {
  std::string made;
  bool begins = true;
  for (const char c : service) {
    if (c != '_') made += begins ? static_cast<char>(std::toupper(static_cast<unsigned char>(c))) : c;
    begins = c == '_';
  }
  return made.empty() || std::isdigit(static_cast<unsigned char>(made.front())) ? "Plugin" + made : made;
}

// A name that holds another one stands before it.
std::vector<Name> names_of(const std::string& id) {
  const auto last = id.rfind('.');
  const auto before = id.rfind('.', last - 1);
  const std::string service = id.substr(last + 1);
  const std::string owner = before == id.npos ? id.substr(0, last) : id.substr(before + 1, last - before - 1);
  return {{"com.example.heartbeat", id},
          {"example.heartbeat.v1", owner + "." + service + ".v1"},
          {"Heartbeat", class_of(service)},
          {"heartbeat", service}};
}

std::string with_own_names(std::string_view text, const std::vector<Name>& names) {
  std::string made;
  while (!text.empty()) {
    const Name* found = nullptr;
    for (const auto& name : names) {
      if (!found && text.starts_with(name.in_template)) found = &name;
    }
    made += found ? found->own : std::string(1, text.front());
    text.remove_prefix(found ? found->in_template.size() : 1);
  }
  return made;
}

}  // namespace

Result<NewProject> new_project(const std::string& id, Language language, fs::path folder) {
  if (!trust::is_plugin_id(id))
    return Error{"manifest_refused",
                 printable(id) +
                     " is no plugin id: two or more words of a-z, 0-9 and _ with points between, as in com.acme.clock"};
  const std::string service = id.substr(id.rfind('.') + 1);
  if (!trust::is_service_name(service))
    return Error{"manifest_refused",
                 "the last word of " + id + " becomes the service's name, which has at most 64 characters"};
  if (folder.empty()) folder = service;
  std::error_code fault;
  if (fs::exists(folder, fault) && !fs::is_empty(folder, fault))
    return Error{"busy", folder.string() + " is there already and not empty; name another folder with --folder"};
  if (!fs::create_directories(folder, fault) && fault)
    return Error{"write_failed", "making the folder " + folder.string() + ": " + fault.message()};
  NewProject made{folder, {}, {}};
  const auto names = names_of(id);
  for (const auto& file : kTemplateFiles) {
    if (file.language != language) continue;
    const std::string name = with_own_names(file.name, names);
    if (const auto status = write_file_atomically(folder / name, with_own_names(file.content, names), 0644); !status)
      return status.error();
    made.files.push_back(name);
    if (name.starts_with(service + ".c")) made.source = name;
  }
  return made;
}

}  // namespace hawser::tool
