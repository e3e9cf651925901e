#pragma once

#include <map>
#include <string>

#include "core/config/load.hpp"
#include "tests/test_folder.hpp"

// For tests: a configuration folder of their own, which is gone at the end.
namespace hawser::config {

class ConfigFolder : public TestFolder {
 public:
  // With a device that has no hardware to ask.
  LoadResult load() const { return config::load(path(), sources()); }
  DeviceSources sources() const {
    const auto variable = [this](const char* name) {
      const auto set = environment.find(name);
      return set == environment.end() ? std::string() : set->second;
    };
    return {path() / "no-dmi", path() / "no-tree", path() / "state", variable};
  }
  std::map<std::string, std::string> environment;
  // Without the folder's own name in front.
  std::string relative(std::string line) const {
    const std::string prefix = path().string() + "/";
    for (auto at = line.find(prefix); at != std::string::npos; at = line.find(prefix)) line.erase(at, prefix.size());
    return line;
  }
};

inline std::string join(const ConfigFolder& folder, const std::vector<std::string>& lines) {
  std::string out;
  for (const auto& line : lines) out += folder.relative(line) + "\n";
  return out;
}

// Good on its own; four lines.
inline constexpr const char* kGoodDevice = "[device]\nserial = \"S1\"\nmodel = \"M1\"\n\n";
inline constexpr const char* kGoodServer = "[[cloud.server]]\ndomain = \"cloud.example\"\n";
inline const std::string kGood = std::string(kGoodDevice) + kGoodServer;

}  // namespace hawser::config
