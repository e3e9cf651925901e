#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.hpp"

namespace hawser::tool {

enum class Language { c, cpp };

struct TemplateFile {
  Language language;
  std::string_view name, content;
};

// sdk/template and sdk/template_c, which are part of this program (template_files.cpp.in).
extern const std::vector<TemplateFile> kTemplateFiles;

struct NewProject {
  std::filesystem::path folder;
  std::vector<std::string> files;
  std::string source;  // the one to write in
};

// A plugin that builds with the installed SDK and passes `check`, under the vendor's own names: the last word of the id
// is the service, the one before it the owner of the protocol. `folder` must be new or empty; empty: named as the service.
Result<NewProject> new_project(const std::string& id, Language language, std::filesystem::path folder);

}  // namespace hawser::tool
