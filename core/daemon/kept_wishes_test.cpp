#include "core/daemon/kept_wishes.hpp"

#include <fstream>

#include "core/base/files.hpp"
#include "tests/catch.hpp"
#include "tests/test_folder.hpp"

namespace hawser::daemon {

TEST_CASE("[sdk-11] what the cloud wants of the plugins is found again, and damage is told from it at any byte") {
  const TestFolder folder;
  const auto file = folder.path() / "site_profile";
  config::CloudWishes wishes;
  wishes.profile =
      config::read_site_profile(
          json::parse_object(R"({"site":"s","revision":7,"plugins":[{"id":"a.b","enabled":true,"config":{"x":"y"}}]})")
              .value())
          .value();
  wishes.commands = {{"a.b", false}, {"c.d", true}};
  wishes.refused_configs = {"a.b"};
  KeptWishes(file).set(wishes);
  const KeptWishes again(file);
  CHECK(json::to_text(config::to_json(*again.value().profile)) == json::to_text(config::to_json(*wishes.profile)));
  CHECK(again.value().commands == wishes.commands);
  CHECK(again.value().refused_configs == wishes.refused_configs);
  const std::string good = read_file(file, kWishesBytesMax).value();
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ 1);
    REQUIRE(write_file_atomically(file, i % 2 ? bad : good.substr(0, i)));
    const KeptWishes broken(file);
    INFO(i);
    CHECK(!broken.value().profile);
    CHECK(broken.value().commands.empty());
    CHECK(std::filesystem::exists(file.string() + ".broken"));
  }
}

}  // namespace hawser::daemon
