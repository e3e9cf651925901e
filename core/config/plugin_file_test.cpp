#include "core/config/plugin_file.hpp"

#include "core/config/testing.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::config;

namespace {

struct Plugin {
  std::string faults, warnings, config;
  std::map<std::string, Action> actions;
  PluginSettings settings;
};

Plugin load_plugin(const std::string& text) {
  ConfigFolder folder;
  folder.write("hawser.toml", std::string(kGoodDevice) + kGoodServer + "[plugins]\nenabled = [\"acme.probe\"]\n");
  folder.write("plugins.d/acme.probe.toml", text);
  const auto result = folder.load();
  Plugin plugin{join(folder, result.faults), join(folder, result.warnings), "", {}, {}};
  if (result.settings) {
    const auto& settings = result.settings->plugins.at("acme.probe");
    CHECK(settings.file == folder.path() / "plugins.d/acme.probe.toml");
    plugin.config = json::to_text(settings.config);
    plugin.actions = settings.actions;
    plugin.settings = settings;
  }
  return plugin;
}

}  // namespace

TEST_CASE("a plugin's own file gives its configuration as JSON, and the commands that it may ask for") {
  const auto plugin = load_plugin(
      "[config]\ninterval = \"10s\"\nratio = 0.5\non = true\nlist = [1, \"b\", {c = "
      "-9007199254740991}]\n[config.deep]\nx "
      "= []\n"
      "[actions.reload-firewall]\ncommand = [\"/usr/sbin/nft\", \"-f\", \"-f\", \"\"]\ntime_limit = \"2m\"\n"
      "[actions.nothing]\ncommand = [\"/bin/true\"]\n");
  CHECK(plugin.faults == "");
  CHECK(plugin.config == R"({"interval":"10s","ratio":0.5,"on":true,"list":[1,"b",{"c":-9007199254740991}],)"
                         R"("deep":{"x":[]}})");
  REQUIRE(plugin.actions.size() == 2);
  const Action& action = plugin.actions.at("reload-firewall");
  CHECK(action.command == std::vector<std::string>{"/usr/sbin/nft", "-f", "-f", ""});
  CHECK(action.time_limit == std::chrono::minutes(2));
  CHECK(plugin.actions.at("nothing").time_limit == std::chrono::seconds(30));
}

TEST_CASE("a plugin without a file has an empty configuration and no commands") {
  ConfigFolder folder;
  folder.write("hawser.toml", std::string(kGoodDevice) + kGoodServer + "[plugins]\nenabled = [\"acme.probe\"]\n");
  folder.write("plugins.d/acme.prob.toml", "nonsense");
  const auto result = folder.load();
  REQUIRE(result.settings);
  CHECK(result.settings->plugins.at("acme.probe").file.empty());
  CHECK(json::to_text(result.settings->plugins.at("acme.probe").config) == "{}");
  CHECK(join(folder, result.warnings) ==
        "plugins.d/acme.prob.toml: belongs to no enabled plugin; did you mean acme.probe.toml?\n");
}

TEST_CASE("[iso-6] an operator narrows a plugin's permissions and sets its limits in its own file") {
  const auto plugin = load_plugin(
      "permissions = [\"file.read:config:/sources/*/paths/*\", \"action:reload\"]\n"
      "[limits]\nmemory_bytes = 33554432\ncpu_percent = 25\nthreads = 16\ndescriptors = 64\ndisk_bytes = 1048576\n"
      "log_lines = 5\nbytes_per_second = 100000\nstall = \"30s\"\n[spool]\nbytes = 2097152\nmode = \"relaxed\"\n");
  CHECK(plugin.faults == "");
  REQUIRE(plugin.settings.permissions);
  REQUIRE(plugin.settings.permissions->size() == 2);
  CHECK(plugin.settings.permissions->at(0).text() == "file.read:config:/sources/*/paths/*");
  CHECK(plugin.settings.permissions->at(1) == Permission{Permission::Kind::Action, "reload"});
  const std::int64_t written[] = {33554432, 25, 16, 64, 1048576, 5, 100000, 30};
  for (std::size_t i = 0; i < kLimitRows.size(); ++i) CHECK(plugin.settings.limits.*kLimitRows[i].member == written[i]);
  CHECK(plugin.settings.spool == SpoolSettings{2097152, SpoolMode::Relaxed});
  CHECK_FALSE(load_plugin("[config]\n").settings.permissions);
  CHECK(load_plugin("permissions = []\n").settings.permissions->empty());
}

TEST_CASE("each bad value of a plugin's file gets its place, its key, what is wrong and what is right") {
  struct Row {
    std::string text, fault;
  };
  std::string many;
  for (int i = 0; i < 65; ++i) many += "[actions.a" + std::to_string(i) + "]\ncommand = [\"/x\"]\n";
  const Row rows[] = {
      {"[confg]\n", "1:2: confg: is not a known key; did you mean config?"},
      {"config = 1\n", "1:10: config: is 1, must be a table, written as [config]"},
      {"[config]\nat = 2026-01-01\n", "2:6: config.at: is a date or time, must be written as a string, in quotes"},
      {"[config]\nx = inf\n", "2:5: config.x: is inf, must be a finite number"},
      {"[config]\nx = [9007199254740992]\n",
       "2:6: config.x: is 9007199254740992, must be between -(2^53-1) and 2^53-1"},
      {"[config]\nx = \"" + std::string(50'000, 'x') + "\"\n",
       "1:1: config: takes 50008 bytes as JSON, at most 49152 are allowed"},
      {"actions = 1\n", "1:11: actions: is 1, must be tables, written as [actions.<name>]"},
      {"[actions]\ngo = 1\n", "2:6: actions.go: is 1, must be a table, written as [actions.go]"},
      {"[actions.\"a b\"]\ncommand = [\"/x\"]\n",
       "1:10: actions.a b: is not a name that can be used, must be 1 to 64 of a-z 0-9 _ -"},
      {"[actions.go]\n", "1:1: actions.go.command: is missing; write [\"/absolute/path\", \"argument\", ...]"},
      {"[actions.go]\ncommand = \"/x\"\n", "2:11: actions.go.command: is \"/x\", must be an array of strings"},
      {"[actions.go]\ncommand = []\n",
       "2:11: actions.go.command: is empty; write [\"/absolute/path\", \"argument\", ...]"},
      {"[actions.go]\ncommand = [\"nft\"]\n",
       "2:12: actions.go.command: is \"nft\", must be an absolute path, one that begins with /"},
      {"[actions.go]\ncommand = [\"/x\", 5]\n", "2:18: actions.go.command: is 5, must be a string"},
      {"[actions.go]\ncommand = [\"/x\", \"a\\u0000\"]\n",
       "2:18: actions.go.command: is \"a\\x00\", must be a string without a NUL character"},
      {"[actions.go]\ncommand = [\"/x\"]\ntime_limit = 0\n",
       "3:14: actions.go.time_limit: is 0, must be from \"1s\" to \"3600s\""},
      {"[actions.go]\ncommand = [\"/x\"]\ntime_limit = \"61m\"\n",
       "3:14: actions.go.time_limit: is \"61m\", must be from \"1s\" to \"3600s\""},
      {"[actions.go]\ncommand = [\"/x\"]\nuser = \"root\"\n",
       "3:1: actions.go.user: is not a known key; known here: command, time_limit"},
      {"permissions = \"exec\"\n", "1:15: permissions: is \"exec\", must be an array of strings"},
      {"permissions = [\n  \"exec\",\n  \"root\",\n]\n",
       "3:3: permissions: is \"root\"; known are " + std::string(kPermissionForms)},
      {"permissions = [\"file.read:etc\"]\n",
       "1:16: permissions: is \"file.read:etc\"; known are " + std::string(kPermissionForms)},
      {"permissions = [\"file.write:/etc/../root/*\"]\n",
       "1:16: permissions: is \"file.write:/etc/../root/*\"; known are " + std::string(kPermissionForms)},
      {"permissions = [\"exec\", \"exec\"]\n", "1:24: permissions: names \"exec\" twice; remove one"},
      {"limits = 5\n", "1:10: limits: is 5, must be a table, written as [limits]"},
      {"[limits]\nmemory = 5\n",
       "2:1: limits.memory: is not a known key; known here: memory_bytes, cpu_percent, threads, descriptors, "
       "disk_bytes, log_lines, bytes_per_second, stall"},
      {"[limits]\nmemory_bytes = \"64MiB\"\n",
       "2:16: limits.memory_bytes: is \"64MiB\", must be a whole number from 16777216 to 1099511627776"},
      {"[limits]\nthreads = 2\n", "2:11: limits.threads: is 2, must be a whole number from 8 to 4096"},
      {"[limits]\nstall = \"0s\"\n", "2:9: limits.stall: is \"0s\", must be from \"1s\" to \"3600s\""},
      {"[spool]\nmode = \"fast\"\n", "2:8: spool.mode: is \"fast\", must be one of \"safe\", \"relaxed\""},
      {"[spool]\nbytes = 1\n", "2:9: spool.bytes: is 1, must be a whole number from 1048576 to 1099511627776"},
      {many, "129:1: actions.a64: is one action too many, at most 64 are allowed"},
  };
  for (const Row& row : rows) {
    INFO(row.text.substr(0, 200));
    CHECK(load_plugin(row.text).faults == "plugins.d/acme.probe.toml:" + row.fault + "\n");
  }
}
