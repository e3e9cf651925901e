#include "core/trust/under_way.hpp"

#include <fcntl.h>
#include <sys/file.h>

#include "tests/catch.hpp"
#include "tests/test_folder.hpp"

using namespace hawser;
using namespace hawser::trust;

TEST_CASE("[sdk-10] one installation at a time, and nobody who may only read the folder can hold it up") {
  const TestFolder folder;
  const Descriptor reader(::open(folder.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  REQUIRE(::flock(reader.get(), LOCK_EX | LOCK_NB) == 0);
  {
    const auto lock = lock_plugin_dir(folder.path());
    REQUIRE(lock);
    CHECK(lock_plugin_dir(folder.path()).error().code == "busy");
    const auto about = std::filesystem::status(folder.path() / kLockFile);
    CHECK(about.permissions() == std::filesystem::perms(0600));
  }
  CHECK(lock_plugin_dir(folder.path()));
}

TEST_CASE("[sdk-10] what an interrupted installation left goes, the lock stays, and a link in its place is refused") {
  const TestFolder folder;
  remove_leftovers(folder.path());
  CHECK_FALSE(std::filesystem::exists(folder.path() / kLockFile));
  folder.write(".hawser-abc/x", "");
  remove_leftovers(folder.path());
  CHECK_FALSE(std::filesystem::exists(folder.path() / ".hawser-abc"));
  CHECK(std::filesystem::exists(folder.path() / kLockFile));
  std::filesystem::remove(folder.path() / kLockFile);
  std::filesystem::create_symlink("/dev/null", folder.path() / kLockFile);
  CHECK(lock_plugin_dir(folder.path()).error().code == "io_error");
}
