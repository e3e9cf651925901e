#include "core/base/log.hpp"

#include <fcntl.h>
#include <unistd.h>

#include "core/base/files.hpp"
#include "tests/catch.hpp"

using namespace hawser;

namespace {
// What `say` writes to standard error.
template <typename F>
std::string captured(F say) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const Descriptor reader(ends[0]), saved(::dup(STDERR_FILENO));
  ::dup2(ends[1], STDERR_FILENO);
  ::close(ends[1]);
  say();
  ::dup2(saved.get(), STDERR_FILENO);
  char text[8192];
  const ssize_t got = ::read(reader.get(), text, sizeof text);
  return std::string(text, got > 0 ? static_cast<std::size_t>(got) : 0);
}
}  // namespace

TEST_CASE("a message cannot forge a second line or move the terminal's cursor") {
  const std::string line = captured([] {
    REQUIRE(start_log("test", "info"));
    spdlog::info("one\ntwo \x1b[2J");
    spdlog::debug("not shown");
  });
  CHECK(line.find("info  test: one\\x0atwo \\x1b[2J\n") != std::string::npos);
  CHECK(std::count(line.begin(), line.end(), '\n') == 1);
}

TEST_CASE("an unknown log level is refused with the list of those that are known") {
  const auto refused = set_log_level("loud");
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message.find("trace, debug, info, warn or error") != std::string::npos);
}

TEST_CASE("[state-4] the last lines of the log stay in memory, whole, and never more of them than asked for") {
  CHECK(captured([] {
          REQUIRE(start_log("test", "info", 1000));
          for (int i = 0; i < 500; ++i) spdlog::info("line {}", i);
        }) != "");
  const std::string tail = log_tail();
  CHECK(tail.size() <= 1000);
  CHECK(tail.size() > 900);
  CHECK(tail.find("Z info  test: line ") == 23);  // the first line is a whole one
  CHECK(tail.ends_with(" info  test: line 499\n"));
  REQUIRE(start_log("test", "info"));
  captured([] { spdlog::info("nobody keeps it"); });
  CHECK(log_tail() == "");
}
