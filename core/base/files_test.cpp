#include "core/base/files.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include "core/base/encoding.hpp"
#include "tests/catch.hpp"
#include "tests/test_folder.hpp"

using namespace hawser;
namespace fs = std::filesystem;

TEST_CASE("a file is written whole with its mode and leaves no temporary file behind") {
  const TestFolder folder;
  const auto path = folder.path() / "key";
  REQUIRE(write_file_atomically(path, "one", 0600));
  REQUIRE(write_file_atomically(path, "two", 0640));
  CHECK(read_file(path, 3).value() == "two");
  struct stat about {};
  REQUIRE(::stat(path.c_str(), &about) == 0);
  CHECK((about.st_mode & 07777) == 0640);
  CHECK(std::distance(fs::directory_iterator(folder.path()), {}) == 1);
}

TEST_CASE("a file over its limit, a folder, a FIFO and a missing file are refused by name") {
  const TestFolder folder;
  const auto path = folder.path() / "long";
  REQUIRE(write_file_atomically(path, "four"));
  CHECK(read_file(path, 3).error().code == "too_big");
  CHECK_FALSE(read_file(folder.path(), 100));
  const auto fifo = folder.path() / "fifo";
  REQUIRE(::mkfifo(fifo.c_str(), 0600) == 0);
  CHECK_FALSE(read_file(fifo, 100));
  const auto missing = read_file(folder.path() / "gone", 100);
  REQUIRE_FALSE(missing);
  CHECK(missing.error().code == "not_found");
  CHECK(missing.error().message.find("gone") != std::string::npos);
}

TEST_CASE("a write that cannot succeed says why and leaves the old file") {
  const TestFolder folder;
  CHECK_FALSE(write_file_atomically(folder.path() / "no" / "file", "x"));
  REQUIRE(make_folder(folder.path() / "taken" / "inside"));
  CHECK_FALSE(write_file_atomically(folder.path() / "taken", "x"));
  CHECK(fs::is_directory(folder.path() / "taken" / "inside"));
}
