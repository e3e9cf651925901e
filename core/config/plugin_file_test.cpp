#include "core/config/plugin_file.hpp"

#include "core/config/testing.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::config;

namespace {

struct Plugin {
  std::string faults, warnings, config;
  std::map<std::string, Action> actions;
};

Plugin load_plugin(const std::string& text) {
  ConfigFolder folder;
  folder.write("hawser.toml", std::string(kGoodDevice) + kGoodServer + "[plugins]\nenabled = [\"acme.probe\"]\n");
  folder.write("plugins.d/acme.probe.toml", text);
  const auto result = folder.load();
  Plugin plugin{join(folder, result.faults), join(folder, result.warnings), "", {}};
  if (result.settings) {
    const auto& settings = result.settings->plugins.at("acme.probe");
    CHECK(settings.file == folder.path() / "plugins.d/acme.probe.toml");
    plugin.config = json::to_text(settings.config);
    plugin.actions = settings.actions;
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
      {many, "129:1: actions.a64: is one action too many, at most 64 are allowed"},
  };
  for (const Row& row : rows) {
    INFO(row.text.substr(0, 200));
    CHECK(load_plugin(row.text).faults == "plugins.d/acme.probe.toml:" + row.fault + "\n");
  }
}
