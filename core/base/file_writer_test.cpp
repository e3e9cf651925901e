#include "core/base/file_writer.hpp"

#include <string>

#include "core/base/files.hpp"
#include "tests/catch.hpp"
#include "tests/test_folder.hpp"

using hawser::FileWriter;
using hawser::TestFolder;

TEST_CASE("the newest content of each file is on disk when its writer has ended, whatever the pause") {
  const TestFolder folder;
  const auto began = std::chrono::steady_clock::now();
  {
    FileWriter writer(std::chrono::hours(1));
    const auto write = writer.hand_over();
    for (int i = 0; i <= 1000; ++i) write(folder.path() / "a", std::to_string(i), "");
    write(folder.path() / "b", "x", "");
    write(folder.path() / "missing" / "c", "x", "this is told in the log");
  }
  CHECK(*hawser::read_file(folder.path() / "a", 100) == "1000");
  CHECK(*hawser::read_file(folder.path() / "b", 100) == "x");
  CHECK(std::chrono::steady_clock::now() - began < std::chrono::minutes(1));
}

TEST_CASE("a writer that was given nothing ends at once") { const FileWriter writer; }
