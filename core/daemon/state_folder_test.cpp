// Where the state of a device may stand, and where not.
#include "core/daemon/state_folder.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include "tests/catch.hpp"
#include "tests/test_folder.hpp"

using namespace hawser;
using namespace hawser::daemon;

namespace {

std::string said(const std::filesystem::path& path) {
  const auto checked = check_state_folder(path);
  return checked ? "" : checked.error().code + ": " + checked.error().message;
}

void make(const std::filesystem::path& path, mode_t mode) {
  REQUIRE(::mkdir(path.c_str(), 0700) == 0);
  REQUIRE(::chmod(path.c_str(), mode) == 0);
}

}  // namespace

TEST_CASE("B18 a state folder by a relative path is refused: it would depend on where hawserd is started") {
  for (const char* path : {"state", "./state", "../var/lib/hawser", ""}) {
    INFO(path);
    CHECK(said(path).rfind("bad_usage: --state-dir is \"" + std::string(path) + "\", must be an absolute path", 0) ==
          0);
  }
}

TEST_CASE("B18 a state folder by a path with .. is refused: behind a link it is another one than was checked") {
  CHECK(said("/var/lib/x/../hawser") ==
        "bad_usage: --state-dir is \"/var/lib/x/../hawser\", must be a path without .., which leads elsewhere behind a "
        "link");
}

TEST_CASE("B18 a state folder below one that root's group may write to is refused") {
  if (::geteuid() != 0) return;
  const TestFolder folder;
  make(folder.path() / "staff", 0775);
  CHECK(said(folder.path() / "staff/hawser").find("has mode 0775") != std::string::npos);
}

TEST_CASE("B18 a state folder below one that everybody may write to is refused unless that is sticky") {
  const TestFolder folder;
  const auto open_one = folder.path() / "open";
  make(open_one, 0777);
  for (const auto& path : {open_one / "state", open_one / "a/b/state"}) {
    INFO(path.string());
    CHECK(said(path).find(open_one.string() + " has mode 0777") != std::string::npos);
    CHECK(said(path).rfind("bad_config: --state-dir " + path.string() + ": ", 0) == 0);
    CHECK(said(path).find("chmod go-w it, or name another folder") != std::string::npos);
  }
  REQUIRE(::chmod(open_one.c_str(), 01777) == 0);
  CHECK(said(open_one / "state") == "");
  CHECK(said(folder.path() / "new/state/") == "");
}

TEST_CASE("B18 [F103] the state folder itself is its owner's alone, and no file") {
  const TestFolder folder;
  const auto state = folder.path() / "state";
  make(state, 0770);
  CHECK(said(state).find("has mode 0770, so that others than its owner may change what is in it; chmod go-w it") !=
        std::string::npos);
  CHECK(said(state / "").find("has mode 0770") != std::string::npos);
  REQUIRE(::chmod(state.c_str(), 0755) == 0);
  CHECK(said(state) == "");
  CHECK(said("/dev/null").find("/dev/null is no folder") != std::string::npos);
}

TEST_CASE("B18 a link counts by its owner and by where it leads") {
  const TestFolder folder;
  const auto open_one = folder.path() / "open", link = folder.path() / "link";
  make(open_one, 0777);
  std::filesystem::create_directory_symlink(open_one, link);
  CHECK(said(link / "state").find(open_one.string() + " has mode 0777") != std::string::npos);
  REQUIRE(::chmod(open_one.c_str(), 0755) == 0);
  CHECK(said(link / "state") == "");
  if (::geteuid() != 0) return;  // only root gives files away
  REQUIRE(::lchown(link.c_str(), 12345, 12345) == 0);
  CHECK(said(link / "state").find(link.string() + " belongs to uid 12345") != std::string::npos);
  std::filesystem::remove(link);
  REQUIRE(::chown(open_one.c_str(), 12345, 12345) == 0);
  CHECK(said(open_one / "state")
            .find("belongs to uid 12345, who could put another folder in its place; chown it to "
                  "root, or name another folder") != std::string::npos);
}

TEST_CASE("B18 a place that does not last is warned about") {
  struct stat about {};
  if (::stat("/dev/shm", &about) != 0) return;
  const auto checked = check_state_folder("/dev/shm/hawser-not-there/state");
  REQUIRE(checked);
  REQUIRE(checked->size() == 1);
  CHECK(checked->front().find("is in memory (tmpfs)") != std::string::npos);
}
