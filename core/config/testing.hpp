#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "core/config/load.hpp"

// For tests: a configuration folder of their own, which is gone at the end.
namespace hawser::config {

class TestFolder {
 public:
  TestFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "hawser-config-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  ~TestFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  const std::filesystem::path& path() const { return path_; }
  void write(const std::string& name, const std::string& content) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << content;
  }
  // With a device that has no hardware to ask.
  LoadResult load() const { return config::load(path_, {path_ / "no-dmi", path_ / "no-tree"}); }
  // Without the folder's own name in front.
  std::string relative(std::string line) const {
    const std::string prefix = path_.string() + "/";
    for (auto at = line.find(prefix); at != std::string::npos; at = line.find(prefix)) line.erase(at, prefix.size());
    return line;
  }

 private:
  std::filesystem::path path_;
};

inline std::string join(const TestFolder& folder, const std::vector<std::string>& lines) {
  std::string out;
  for (const auto& line : lines) out += folder.relative(line) + "\n";
  return out;
}

// Good on its own; four lines.
inline constexpr const char* kGoodDevice = "[device]\nserial = \"S1\"\nmodel = \"M1\"\n\n";
inline constexpr const char* kGoodServer = "[[cloud.server]]\ndomain = \"cloud.example\"\n";

}  // namespace hawser::config
