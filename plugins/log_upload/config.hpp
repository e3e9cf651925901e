#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace hawser::log_upload {

struct Source {
  std::string name;
  std::vector<std::string> paths;  // absolute; *, ? and [] as in a shell
  bool from_end = false;           // files that are there at the very first start: only what is written from then on
};
using Sources = std::vector<Source>;

// Reads {"sources":[{"name":"syslog","paths":["/var/log/syslog"],"from":"beginning"|"end"}]}.
// The sources, or one sentence for the operator.
std::variant<Sources, std::string> sources_from_config(std::string_view json);

}  // namespace hawser::log_upload
