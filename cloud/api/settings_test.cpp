#include "cloud/api/settings.hpp"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "cloud/api/init.hpp"
#include "tests/catch.hpp"

using namespace hawser::cloud;

namespace {

struct Folder {
  Folder() : path(std::filesystem::temp_directory_path() / ("settings_test." + std::to_string(::getpid()))) {}
  ~Folder() { std::filesystem::remove_all(path); }
  std::filesystem::path path;
};

std::string faults_of(const std::filesystem::path& file, const std::string& text) {
  std::ofstream(file) << text;
  std::string all;
  for (const std::string& fault : read_settings(file).faults) all += fault + "\n";
  return all;
}

}  // namespace

TEST_CASE("[cloud-1] what init makes is a configuration without faults, its keys are the owner's alone") {
  const Folder folder;
  InitOptions options;
  options.folder = folder.path;
  options.names = {"cloud.test", "::1"};
  REQUIRE(init_cloud(options));
  const SettingsRead read = read_settings(folder.path / "cloud.toml");
  CHECK(read.faults.empty());
  CHECK(read.settings.names == options.names);
  for (const char* key : {"ca.key", "server.key"})
    CHECK((std::filesystem::status(folder.path / key).permissions() & std::filesystem::perms::all) ==
          (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
  CHECK_FALSE(init_cloud(options));
}

TEST_CASE("[cloud-1] every fault of cloud.toml is named with its place and what would be right") {
  const Folder folder;
  std::filesystem::create_directories(folder.path);
  const auto file = folder.path / "cloud.toml";
  const std::string faults = faults_of(file,
                                       "[server]\nnames = [\"UPPER\", 5]\nauthentication_port = \"https\"\n"
                                       "log_level = \"loud\"\ncertificate_file = \"gone.crt\"\nkey_file = \"\"\n"
                                       "[fleet]\ntoken_life_s = 0\nspeed = 1\n[limit]\n");
  for (const char* wanted :
       {"cloud.toml:2:10: server.names: ", "cloud.toml:2:19: server.names: ",
        "cloud.toml:3:23: server.authentication_port: ", "cloud.toml:4:13: server.log_level: ",
        "cloud.toml:5:20: server.certificate_file: there is no file",
        "cloud.toml:6:12: server.key_file: ", "server.database: is missing",
        "cloud.toml:8:16: fleet.token_life_s: ", "cloud.toml:9:1: fleet.speed: ", "cloud.toml:10:2: limit: "}) {
    INFO(wanted << " in\n" << faults);
    CHECK(faults.find(wanted) != std::string::npos);
  }
}

TEST_CASE("[cloud-1] a file that is missing, broken or no file is one sentence") {
  const Folder folder;
  std::filesystem::create_directories(folder.path);
  CHECK(read_settings(folder.path / "none.toml").faults.size() == 1);
  CHECK(read_settings(folder.path).faults.size() == 1);
  CHECK(faults_of(folder.path / "a.toml", "[server").find("a.toml:1:") != std::string::npos);
  CHECK_FALSE(faults_of(folder.path / "a.toml", "").empty());
}
