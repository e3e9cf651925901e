// hawserd as a program: what it answers to wrong usage, a wrong configuration, a second instance, and SIGTERM.
#include <poll.h>

#include <csignal>

#include "core/control/control_client.hpp"
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
        "ports = [1]\n[plugins]\ndevelopment_mode = true\nenabled = [\"acme.shop\"]\n");
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

  // Starts it beside the test; what it prints is gathered in `output`.
  void start() {
    ended = false;
    output.clear();
    auto started = supervisor::ChildProcess::start(loop, {command(), {}, {}}, [this] { ended = true; });
    REQUIRE(started);
    daemon = std::move(*started);
    loop.watch(daemon->output(), POLLIN, [this](short) {
      char piece[4096];
      const ssize_t got = ::read(daemon->output(), piece, sizeof piece);
      if (got > 0) output.append(piece, static_cast<std::size_t>(got));
      if (got == 0) loop.unwatch(daemon->output());
    });
  }
  bool until_it_says(const std::string& words) {
    return until([&] { return output.find(words) != std::string::npos; });
  }
  void end(int number) {
    ::kill(daemon->pid(), number);
    REQUIRE(until([this] { return ended; }));
    loop.unwatch(daemon->output());
    daemon->reap(true);
    daemon.reset();
  }
  void configure(const std::string& more, const std::string& plugin = "interval = 1\n") {
    put_file(folder.path() / "conf/hawser.toml",
             "[device]\nserial = \"TEST1\"\nmodel = \"lab\"\n[[cloud.server]]\nrole = \"primary\"\n"
             "domain = \"localhost\"\nports = [1]\n[plugins]\ndevelopment_mode = true\nenabled = [\"acme.shop\"]\n" +
                 more);
    put_file(folder.path() / "conf/plugins.d/acme.shop.toml", "[config]\n" + plugin);
  }
  // The answer to one request at the control socket.
  std::string ask(const std::string& request) {
    auto client = control::ControlClient::connect(folder.path() / "run/control.sock");
    REQUIRE(client);
    const auto answer = client->call(request, json::make_object(), std::chrono::seconds(10));
    return answer ? json::to_text(*answer) : answer.error().code + ": " + answer.error().message;
  }

  TestFolder folder;
  Loop loop;
  supervisor::ActionRunner runner{loop};
  std::unique_ptr<supervisor::ChildProcess> daemon;
  bool ended = false;
  std::string output;
};

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
  auto daemon = supervisor::ChildProcess::start(house.loop, {house.command(), {}, {}}, [&] { ended = true; });
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

TEST_CASE("[ops-5] [conn-25] SIGHUP and config_reload take a new configuration; a bad one leaves the old one running") {
  House house;
  house.configure("");
  house.start();
  REQUIRE(house.until_it_says("acme.shop: starting -> ready"));
  house.configure("[log]\nlevel = \"loud\"\n[bogus]\n");
  ::kill(house.daemon->pid(), SIGHUP);
  REQUIRE(house.until_it_says("bogus"));
  const std::string refused = house.ask("config_reload");
  CHECK(has(refused, "bad_config: "));
  CHECK(has(refused, "log.level"));
  CHECK(has(refused, "\n"));
  CHECK(has(house.ask("config_show"), R"("level":"info")"));

  house.configure("[cloud.ping]\ninterval = \"30s\"\n", "interval = 2\n");
  const std::string taken = house.ask("config_reload");
  CHECK(has(taken, R"("changed":["cloud.ping.interval","plugins.d.acme.shop.config.interval"])"));
  REQUIRE(house.until_it_says("acme.shop took its new [config]"));
  CHECK(has(house.ask("config_show"), R"("ping":{"interval":30})"));
  INFO(house.output);
  CHECK_FALSE(has(house.output, "ready -> draining"));
  const std::string history = house.ask("history");
  CHECK(has(history, R"("reason":"bad_config")"));
  CHECK(has(history, "changed: cloud.ping.interval, plugins.d.acme.shop.config.interval"));
  house.end(SIGTERM);
}

TEST_CASE("[ops-5] a storm of SIGHUPs with a broken configuration costs no descriptor, and the history one line") {
  House house;
  house.configure("");
  house.start();
  REQUIRE(house.until_it_says("acme.shop: starting -> ready"));
  const auto descriptors = [&] {
    const std::filesystem::directory_iterator all("/proc/" + std::to_string(house.daemon->pid()) + "/fd");
    return std::distance(begin(all), end(all));
  };
  CHECK_FALSE(has(house.ask("config_reload"), "bad_config"));
  const auto before = descriptors();
  house.configure("[bogus]\n");
  for (int i = 0; i < 1000; ++i) {
    ::kill(house.daemon->pid(), SIGHUP);
    house.loop.turn(Clock::now());  // reads what it prints
    if (i % 100 == 0) CHECK(has(house.ask("version"), "version"));
  }
  CHECK(has(house.ask("config_reload"), "bad_config: "));
  CHECK(has(house.ask("state"), R"("refused_config_detail":")"));
  const std::string history = house.ask("history");
  CHECK(history.find("bad_config") == history.rfind("bad_config"));
  CHECK(descriptors() <= before + 2);
  house.end(SIGTERM);
}

TEST_CASE("[state-2] history is kept over a restart and over a kill, and says how the last run ended") {
  House house;
  house.configure("");
  house.start();
  REQUIRE(house.until_it_says("acme.shop: starting -> ready"));
  house.end(SIGTERM);
  house.start();
  REQUIRE(house.until_it_says("acme.shop: starting -> ready"));
  const std::string after_stop = house.ask("history");
  CHECK(has(after_stop, "acme.shop is ready"));
  CHECK(has(after_stop, R"("reason":"stopped","detail":"SIGTERM")"));
  CHECK(has(after_stop, "the last run was stopped"));
  const auto kept = house.folder.path() / "state/history.jsonl";
  const auto stopped_at = std::filesystem::file_size(kept);
  REQUIRE(house.until([&] { return std::filesystem::file_size(kept) > stopped_at; }));
  house.end(SIGKILL);
  house.start();
  REQUIRE(house.until_it_says("acme.shop: starting -> ready"));
  CHECK(has(house.ask("history"), "the last run ended without a stop"));
  house.end(SIGTERM);
}

TEST_CASE("[ops-5] a second SIGTERM ends it at once") {
  House house;
  house.start();  // with a plugin that ignores its stop
  REQUIRE(house.until_it_says("acme.shop: starting -> ready"));
  const TimePoint asked = Clock::now();
  ::kill(house.daemon->pid(), SIGTERM);
  REQUIRE(house.until_it_says("SIGTERM: stopping"));
  house.end(SIGTERM);
  CHECK(Clock::now() - asked < std::chrono::seconds(2));
}
