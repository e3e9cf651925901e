#include "core/supervisor/action_runner.hpp"

#include <csignal>

#include "core/supervisor/testing/rig.hpp"

using namespace hawser;
using namespace hawser::supervisor;

namespace {

struct Bench {
  ActionResult run(std::vector<std::string> command, milliseconds limit = 10s) {
    std::optional<ActionResult> result;
    runner.run("acme.shop", "test", {std::move(command), limit}, [&](ActionResult got) {
      CHECK_FALSE(result);
      result = std::move(got);
    });
    CHECK_FALSE(result);  // never from inside run()
    const TimePoint end = Clock::now() + 20s;
    while (!result && Clock::now() < end) loop.turn(Clock::now() + 50ms);
    REQUIRE(result);
    return *result;
  }
  ActionResult shell(const std::string& script, milliseconds limit = 10s) {
    return run({"/bin/sh", "-c", script}, limit);
  }

  Loop loop;
  ActionRunner runner{loop};
};

bool ends(pid_t pid) {
  const TimePoint limit = Clock::now() + 5s;
  while (testing::is_running(pid)) {
    if (Clock::now() > limit) return false;
    ::usleep(2000);
  }
  return true;
}

}  // namespace

TEST_CASE("an action's exit code and both its outputs come back") {
  Bench bench;
  const auto result = bench.shell("echo out; echo err >&2; exit 7");
  CHECK(result.exit_code == 7);
  CHECK(result.output == "out\nerr\n");
  CHECK(result.reason.empty());
  CHECK(bench.runner.running() == 0);
}

TEST_CASE("an action that a signal ended has no exit code, and the signal is named") {
  Bench bench;
  const auto result = bench.shell("kill -SEGV $$");
  CHECK_FALSE(result.exit_code);
  CHECK(result.signal == SIGSEGV);
  CHECK(result.reason == "was ended by SIGSEGV (Segmentation fault)");
}

TEST_CASE("an action over its time limit is ended with all that it started") {
  Bench bench;
  const TimePoint begin = Clock::now();
  SECTION("by SIGTERM") {
    const auto result = bench.shell("sleep 300 & echo $!; wait", 200ms);
    CHECK_FALSE(result.exit_code);
    CHECK(result.reason == "was ended at its time limit of 200 ms");
    CHECK(ends(std::stoi(result.output)));
    CHECK(Clock::now() - begin < 1900ms);
  }
  SECTION("by SIGKILL, where SIGTERM is ignored") {
    const auto result = bench.shell("trap '' TERM; sleep 300 & echo $!; while :; do wait; done", 200ms);
    CHECK(result.reason == "was ended at its time limit of 200 ms");
    CHECK(ends(std::stoi(result.output)));
    CHECK(Clock::now() - begin < 8s);
  }
}

TEST_CASE("10 MB of output do not hold the action up, and only the first part is kept") {
  Bench bench;
  const auto result = bench.shell("head -c 10000000 /dev/zero; exit 3");
  CHECK(result.exit_code == 3);
  CHECK(result.output.size() == kActionOutputMax);
}

TEST_CASE("a program that is missing is named") {
  Bench bench;
  const auto result = bench.run({"/nowhere/tool", "x"});
  CHECK_FALSE(result.exit_code);
  CHECK(result.reason == "did not start: cannot start /nowhere/tool: No such file or directory");
}

TEST_CASE("an action sees PATH and LANG alone, and an empty input") {
  Bench bench;
  CHECK(bench.run({"/usr/bin/env"}).output ==
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nLANG=C\n");
  CHECK(bench.shell("umask").output == "0022\n");
  CHECK(bench.shell("cat; ls -1 /proc/self/fd | wc -l").output == "4\n");  // 0, 1, 2 and the folder itself
}

TEST_CASE("what an action leaves in the background lives on and does not delay its result") {
  Bench bench;
  const TimePoint begin = Clock::now();
  const auto result = bench.shell("sleep 300 & echo $!; exit 0");
  CHECK(result.exit_code == 0);
  CHECK(Clock::now() - begin < 5s);
  const pid_t background = std::stoi(result.output);
  CHECK(testing::is_running(background));
  ::kill(background, SIGKILL);
}

TEST_CASE("when the runner goes, so do the actions") {
  pid_t child = 0;
  {
    Loop loop;
    TestFolder folder;
    ActionRunner runner(loop);
    const auto file = folder.path() / "pid";
    runner.run("acme.shop", "test", {{"/bin/sh", "-c", "echo $$ > " + file.string() + "; exec sleep 300"}, 300s},
               [](const ActionResult&) { FAIL("its owner is gone"); });
    const TimePoint end = Clock::now() + 10s;
    while (child == 0 && Clock::now() < end) {
      loop.turn(Clock::now() + 10ms);
      const auto text = read_file(file, 100);
      if (text && !text->empty() && text->back() == '\n') child = std::stoi(*text);
    }
    REQUIRE(child != 0);
  }
  CHECK(ends(child));
}
