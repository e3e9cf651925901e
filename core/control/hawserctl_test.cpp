// Runs the real hawserctl against a small server.
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include <cstdlib>
#include <fstream>
#include <vector>

#include "core/control/testing.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::control;

namespace {

struct Ran {
  int exit = -1;
  std::string out, err;
};

// -1 for a descriptor that is to be closed in the program.
Ran run_with(int out, int err, const std::vector<std::string>& arguments) {
  std::vector<std::string> words = {HAWSERCTL};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (auto& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  for (const auto& [from, to] : {std::pair(out, 1), std::pair(err, 2)}) {
    if (from < 0) ::posix_spawn_file_actions_addclose(&actions, to);
    if (from >= 0) ::posix_spawn_file_actions_adddup2(&actions, from, to);
  }
  Ran ran;
  pid_t pid = 0;
  char* environment[] = {nullptr};
  const int failed = ::posix_spawn(&pid, HAWSERCTL, &actions, nullptr, argv.data(), environment);
  ::posix_spawn_file_actions_destroy(&actions);
  REQUIRE(failed == 0);
  int status = 0;
  REQUIRE(::waitpid(pid, &status, 0) == pid);
  ran.exit = WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  return ran;
}

std::string content(const std::filesystem::path& file) { return read_file(file, 16 * 1024 * 1024).value(); }

// Into files: what is printed may be longer than a pipe takes while we wait.
Ran run(const std::vector<std::string>& arguments) {
  const TestFolder folder;
  const auto open = [&](const char* name) {
    return Descriptor(::open((folder.path() / name).c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
  };
  const Descriptor out = open("out"), err = open("err");
  Ran ran = run_with(out.get(), err.get(), arguments);
  ran.out = content(folder.path() / "out");
  ran.err = content(folder.path() / "err");
  return ran;
}

json::Object parse(const std::string& text) { return json::parse_object(text).value(); }

ControlServer::Handler fake_agent(Loop&) {
  return [](Request request, Reply reply) {
    const std::string plugin = json::text_or(request.args, "plugin");
    if (request.command == "state")
      return reply(parse(R"({"cloud_connection_state":"Established","failure_reason":null,"subconnections":[
        {"service":"monitoring","state":"ready","dropped":{},"failure_reason":null}]})"));
    if (request.command == "plugin_list")
      return reply(parse(R"({"plugins":[{"id":"a.b","state":"ready","services":["x"],"reason":null}]})"));
    if (request.command == "plugin_show" && plugin == "a.b") return reply(parse(R"({"id":"a.b","state":"ready"})"));
    if (request.command == "plugin_show") return reply(Error{"not_found", "no plugin \"" + plugin + "\" is enabled"});
    if (request.command == "plugin_restart" && plugin != "a.b")
      return reply(Error{"not_found", "\x1b[2J no such plugin"});
    if (request.command == "config_show") return reply(parse(R"({"device":{"serial":"S1"},"list":[1,2],"site":null})"));
    if (request.command == "log_level" && json::text_or(request.args, "level") != "debug")
      return reply(Error{"bad_request", "not today"});
    reply(json::make_object());
  };
}

struct Agent {
  TestFolder folder;
  std::string socket = (folder.path() / "control.sock").string();
  ServerThread server{socket, fake_agent};
};

}  // namespace

TEST_CASE("[state-1] state prints the display, and its JSON on request") {
  const Agent agent;
  const Ran text = run({"--socket", agent.socket, "state"});
  CHECK(text.exit == 0);
  CHECK(text.err == "");
  CHECK(text.out.rfind("Cloud connection state                      : Established\nDevice state ", 0) == 0);
  const Ran json_text = run({"state", "--json", "--socket", agent.socket});
  CHECK(json_text.exit == 0);
  const auto state = parse(json_text.out);
  CHECK(json::text_or(state, "cloud_connection_state") == "Established");
  CHECK(state->isNull("failure_reason"));
}

TEST_CASE("each command exits 0 with a sentence when it is done") {
  const Agent agent;
  struct Row {
    std::vector<std::string> words;
    std::string out;
  };
  const Row rows[] = {
      {{"plugin", "list"},
       "Plugin  Version  State  PID  Restarts  Services  Reason\na.b     N/A      ready  N/A  N/A       x         "
       "N/A\n"},
      {{"plugin", "show", "a.b"}, "Plugin             : a.b\nState              : ready\nReason             : N/A\n"},
      {{"plugin", "show", "a.b", "--json"}, "{\"id\":\"a.b\",\"state\":\"ready\"}\n"},
      {{"plugin", "restart", "a.b"}, "Plugin a.b is being restarted.\n"},
      {{"reset"}, "The cloud connection is being established anew.\n"},
      {{"reset", "--json"}, "{}\n"},
      {{"config", "show"}, "device.serial: S1\nlist: [1,2]\nsite: N/A\n"},
      {{"log-level", "debug"}, "The agent logs from level debug on, until it is restarted.\n"},
      {{"version"}, "hawserctl " HAWSER_VERSION "\n"},
  };
  for (const Row& row : rows) {
    auto words = row.words;
    words.insert(words.end(), {"--socket", agent.socket});
    const Ran ran = run(words);
    CHECK(ran.exit == 0);
    CHECK(ran.err == "");
    CHECK(ran.out == row.out);
  }
}

TEST_CASE("a refusal of the agent exits 1 with its sentence, escaped") {
  const Agent agent;
  const Ran show = run({"--socket", agent.socket, "plugin", "show", "c.d"});
  CHECK(show.exit == 1);
  CHECK(show.out == "");
  CHECK(show.err == "hawserctl: no plugin \"c.d\" is enabled\n");
  const Ran restart = run({"--socket", agent.socket, "plugin", "restart", "c.d"});
  CHECK(restart.exit == 1);
  CHECK(restart.err == "hawserctl: \\x1b[2J no such plugin\n");
  const Ran level = run({"--socket", agent.socket, "log-level", "info", "--json"});
  CHECK(level.exit == 1);
  CHECK(level.out == "{\"error\":{\"code\":\"bad_request\",\"message\":\"not today\"}}\n");
}

TEST_CASE("B27 without an agent it exits 3, and names the socket and what to do") {
  for (const char* command : {"state", "reset"}) {
    const Ran ran = run({command, "--socket", "/nonexistent/control.sock"});
    CHECK(ran.exit == 3);
    CHECK(ran.err ==
          "hawserctl: no agent is running: nothing listens at /nonexistent/control.sock; start hawserd, or "
          "name its socket with --socket\n");
  }
  CHECK(run({"version", "--socket", "/nonexistent/control.sock"}).exit == 0);
}

TEST_CASE("B22 B23 B24 B25 wrong usage exits 2 with one sentence") {
  struct Row {
    std::vector<std::string> words;
    std::string sentence;
  };
  const Row rows[] = {
      {{}, "name a command: state, plugin, reset, config, log-level, version"},
      {{"stat"}, "stat is no command; did you mean state?"},
      {{"xyz"}, "xyz is no command; there are: state, plugin, reset, config, log-level, version"},
      {{"\x1b[2J"}, "\\x1b[2J is no command; there are: state, plugin, reset, config, log-level, version"},
      {{"plugin"}, "name a command: plugin list, plugin show, plugin restart"},
      {{"plugin", "sho"}, "sho is no command; did you mean plugin show?"},
      {{"state", "x"}, "state takes no further word: x"},
  };
  for (const Row& row : rows) {
    const Ran ran = run(row.words);
    CHECK(ran.exit == 2);
    CHECK(ran.out == "");
    CHECK(ran.err == "hawserctl: " + row.sentence + "\nRun hawserctl --help for more.\n");
  }
  const std::vector<std::vector<std::string>> wrong = {{"--nonsense"},
                                                       {"state", "--nonsense"},
                                                       {"plugin", "show"},
                                                       {"log-level"},
                                                       {"log-level", "loud"},
                                                       {"--socket"},
                                                       {"config", "check", "--config", "/a", "--config", "/b"}};
  for (const auto& words : wrong) {
    const Ran ran = run(words);
    CHECK(ran.exit == 2);
    CHECK(ran.err.rfind("hawserctl: ", 0) == 0);
  }
  const Ran help = run({"--help"});
  CHECK(help.exit == 0);
  CHECK(help.out.find("log-level") != std::string::npos);
}

TEST_CASE("config check names every fault without an agent, and exits 0 or 1") {
  const TestFolder folder;
  std::ofstream(folder.path() / "hawser.toml") << "[device]\nserial = \"a b\"\nmodel = \"M\"\n[[cloud.server]]\ndomain "
                                                  "= \"x\"\n[log]\nlevel = 1\n";
  const std::string file = (folder.path() / "hawser.toml").string();
  const Ran bad = run({"config", "check", "--config", folder.path().string()});
  CHECK(bad.exit == 1);
  CHECK(bad.out == file + ":2:10: device.serial: is \"a b\", must be 1 to 64 of A-Z a-z 0-9 . _ -\n" + file +
                       ":7:9: log.level: is 1, must be a string\n");
  CHECK(bad.err == "hawserctl: 2 faults in " + folder.path().string() + "\n");
  const Ran as_json = run({"config", "check", "--json", "--config", folder.path().string()});
  CHECK(as_json.exit == 1);
  CHECK(json::array_member(parse(as_json.out), "faults").value()->size() == 2);
  std::ofstream(folder.path() / "hawser.toml")
      << "[device]\nserial = \"S1\"\nmodel = \"M\"\n[[cloud.server]]\ndomain = "
         "\"x\"\n";
  const Ran good = run({"config", "check", "--config", folder.path().string()});
  CHECK(good.exit == 0);
  CHECK(good.out == "The configuration in " + folder.path().string() + " is good.\n");
}

TEST_CASE("B29 a closed output, a reader that is gone and a full disk are no crash") {
  const Agent agent;
  const std::vector<std::string> words = {"--socket", agent.socket, "state"};
  CHECK(run_with(-1, -1, words).exit == 1);
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  ::close(ends[0]);
  const Descriptor gone(ends[1]);
  CHECK(run_with(gone.get(), gone.get(), words).exit == 0);
  const Descriptor full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  CHECK(run_with(full.get(), full.get(), words).exit == 1);
}

TEST_CASE("B29 on a terminal of 20 columns tables become blocks") {
  const Agent agent;
  const Descriptor terminal(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  REQUIRE(terminal);
  REQUIRE(::grantpt(terminal.get()) == 0);
  REQUIRE(::unlockpt(terminal.get()) == 0);
  winsize size{};
  size.ws_row = 10;
  size.ws_col = 20;
  const Descriptor inner(::open(::ptsname(terminal.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
  REQUIRE(::ioctl(inner.get(), TIOCSWINSZ, &size) == 0);
  CHECK(run_with(inner.get(), inner.get(), {"--socket", agent.socket, "plugin", "list"}).exit == 0);
  char text[4096];
  const ssize_t got = ::read(terminal.get(), text, sizeof text);
  REQUIRE(got > 0);
  CHECK(std::string(text, static_cast<std::size_t>(got)).rfind("Plugin: a.b\r\nVersion: N/A\r\n", 0) == 0);
}
