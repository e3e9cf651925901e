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
