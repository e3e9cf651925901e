#include "core/trust/versions.hpp"

#include "tests/catch.hpp"
#include "tests/test_folder.hpp"

using namespace hawser;
using namespace hawser::trust;

namespace {

Version version(const char* text) { return Version::parse(text).value(); }

}  // namespace

TEST_CASE("[sdk-10] the newest version is the wanted one, unless an operator went back to an older") {
  const TestFolder folder;
  CHECK(wanted_version(folder.path() / "none").error().code == "plugin_missing");
  CHECK(wanted_version(folder.path()).error().code == "plugin_missing");
  for (const char* name : {"1.9.0", "1.10.0", "1.10.0-rc.1", "backup", ".hawser-x"})
    folder.write(name + std::string("/x"), "");
  CHECK(wanted_version(folder.path())->text() == "1.10.0");
  REQUIRE(want_version(folder.path(), version("1.9.0")));
  CHECK(wanted_version(folder.path())->text() == "1.9.0");
  REQUIRE(want_version(folder.path(), version("1.10.0")));
  CHECK(wanted_version(folder.path())->text() == "1.10.0");
  CHECK_FALSE(std::filesystem::exists(folder.path() / kWantedFile));
}

TEST_CASE("[sdk-10] a wanted version that is gone, or that nobody can read, is the newest again") {
  const TestFolder folder;
  folder.write("1.0.0/x", "");
  folder.write("2.0.0/x", "");
  for (const char* text : {"1.5.0\n", "", "../..\n", "\xff\n1.0.0\n"}) {
    folder.write(kWantedFile, text);
    CHECK(wanted_version(folder.path())->text() == "2.0.0");
  }
}
