// hawserd as a program: what it answers to wrong usage, a wrong configuration, a second instance, and SIGTERM.
#include <poll.h>

#include <csignal>

#include "core/supervisor/child_process.hpp"
#include "core/supervisor/testing/rig.hpp"

using namespace hawser;
using supervisor::ActionResult;
using supervisor::testing::put_file;

namespace {

struct House {
  House() {
    put_file(
        folder.path() / "conf/hawser.toml",
        "[device]\nserial = \"TEST1\"\nmodel = \"lab\"\n[[cloud.server]]\nrole = \"primary\"\ndomain = \"localhost\"\n"
        "ports = [1]\n[plugins]\nenabled = [\"acme.shop\"]\n");
    put_file(folder.path() / "conf/plugins.d/acme.shop.toml", "[config]\nbehave = \"ignores_stop\"\n");
    supervisor::testing::install(folder.path() / "plugins", "acme.shop", "1.0.0", "shop");
  }

  std::vector<std::string> command(const std::vector<std::string>& more = {}) const {
    const std::string at = folder.path().string();
    std::vector<std::string> all = {HAWSER_DAEMON,   "--config",       at + "/conf",        "--state-dir",
                                    at + "/state",   "--runtime-dir",  at + "/run",         "--plugin-dir",
                                    at + "/plugins", "--host-program", HAWSER_SCRIPTED_HOST};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }

  // Runs it to its end.
  ActionResult run(const std::vector<std::string>& more = {}) {
    std::optional<ActionResult> result;
    runner.run("test", "hawserd", {command(more), std::chrono::seconds(20)}, [&](ActionResult got) { result = got; });
    REQUIRE(until([&] { return result.has_value(); }));
    return *result;
  }

  bool until(const std::function<bool()>& holds) {
    const TimePoint end = Clock::now() + std::chrono::seconds(30);
    while (!holds()) {
      if (Clock::now() >= end) return false;
      loop.turn(Clock::now() + milliseconds(20));
    }
    return true;
  }

  TestFolder folder;
  Loop loop;
  supervisor::ActionRunner runner{loop};
};

bool has(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

TEST_CASE("hawserd names every fault of a wrong configuration, exits with 78 and starts nothing") {
  House house;
  put_file(house.folder.path() / "conf/hawser.toml", "[device]\nserial = 5\n[bogus]\n");
  const auto more = GENERATE(std::vector<std::string>{}, std::vector<std::string>{"--check"});
  const auto result = house.run(more);
  INFO(result.output);
  CHECK(result.exit_code == 78);
  CHECK(has(result.output, "hawser.toml:2:10: device.serial"));
  CHECK(has(result.output, "hawser.toml:3:2: bogus"));
  CHECK_FALSE(std::filesystem::exists(house.folder.path() / "state"));
}

TEST_CASE("hawserd --check of a good configuration exits with 0 and starts nothing; wrong usage exits with 64") {
  House house;
  CHECK(house.run({"--check"}).exit_code == 0);
  CHECK_FALSE(std::filesystem::exists(house.folder.path() / "state"));
  CHECK(house.run({"--bogus"}).exit_code == 64);
}

TEST_CASE(
    "[ops-5] hawserd drains within 5 s of SIGTERM, even with a plugin that ignores it; a second one exits with 75") {
  House house;
  bool ended = false;
  auto daemon = supervisor::ChildProcess::start(house.loop, {house.command(), {}, -1}, [&] { ended = true; });
  REQUIRE(daemon);
  std::string output;
  house.loop.watch((*daemon)->output(), POLLIN, [&](short) {
    char piece[4096];
    const ssize_t got = ::read((*daemon)->output(), piece, sizeof piece);
    if (got > 0) output.append(piece, static_cast<std::size_t>(got));
    if (got == 0) house.loop.unwatch((*daemon)->output());
  });
  REQUIRE(house.until([&] { return has(output, "acme.shop: starting -> ready"); }));
  CHECK(has(output, "hawser-cloud device add TEST1"));
  CHECK(std::filesystem::is_socket(house.folder.path() / "run/control.sock"));

  const auto second = house.run();
  CHECK(second.exit_code == 75);
  CHECK(has(second.output, "process " + std::to_string((*daemon)->pid())));

  const TimePoint asked = Clock::now();
  ::kill((*daemon)->pid(), SIGTERM);
  REQUIRE(house.until([&] { return ended; }));
  INFO(output);
  CHECK(Clock::now() - asked < std::chrono::seconds(5));
  CHECK((*daemon)->reap(true).exit_code == 0);
  house.loop.unwatch((*daemon)->output());
  CHECK_FALSE(std::filesystem::exists(house.folder.path() / "run/control.sock"));
}
