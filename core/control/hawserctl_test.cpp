// Runs the real hawserctl against a small server.
#include <fcntl.h>
#include <sys/ioctl.h>

#include <cstdlib>
#include <fstream>
#include <vector>

#include "core/control/program_output.hpp"
#include "core/control/run_hawserctl.hpp"
#include "core/control/testing.hpp"
#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::control;

namespace {

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
    if (request.command == "history") {
      auto answer = parse(R"({"events":[{"at":null,"kind":"down","reason":"peer_closed","detail":"end of file"}]})");
      if (json::integer_or(request.args, "limit", 0) != 1) answer->set("events", json::make_array());
      return reply(answer);
    }
    if (request.command == "reset" && json::bool_or(request.args, "first", false))
      return reply(parse(R"({"first":true})"));
    if (request.command == "unbind" && json::text_or(request.args, "code") == "WRNGCDE2")
      return reply(Error{"code_wrong", "the cloud refuses the code"});
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
      {{"reset", "--first"}, "The cloud connection is being established anew, from the first server of the list on.\n"},
      {{"unbind", "ABCDEFG2"}, "The cloud has let this device go: it can be added to the cloud anew.\n"},
      {{"config", "reload"}, "The configuration was read anew; nothing has changed.\n"},
      {{"history", "--limit", "1"},
       "Time  Kind  Service  Reason                   Detail\nN/A   down  -        socket connection error  end of "
       "file\n"},
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

TEST_CASE("the form of an unbinding code is checked before anyone is asked") {
  const Agent agent;
  for (const char* code : {"ABCDEFG", "ABCDEFGH2", "abcdefgh", "ABCDEFG1", "ABCDEF 2", ""}) {
    for (const std::string& socket : {agent.socket, std::string("/nonexistent/control.sock")}) {
      const Ran ran = run({"--socket", socket, "unbind", code});
      CHECK(ran.exit == 1);
      CHECK(ran.err == std::string("hawserctl: the unbinding code is \"") + code +
                           "\", must be 8 characters of A-Z and 2-9, as the cloud shows it\n");
    }
  }
  CHECK(run({"--socket", agent.socket, "unbind", "WRNGCDE2"}).err == "hawserctl: the cloud refuses the code\n");
}

TEST_CASE("a refused configuration is told fault by fault, each on a line of its own") {
  const TestFolder folder;
  const std::string socket = (folder.path() / "control.sock").string();
  const ServerThread server(socket, [](Loop&) -> ControlServer::Handler {
    return [](Request, Reply reply) { reply(Error{"bad_config", "a:1:1: x\nb:2:2: y\x1b"}); };
  });
  const Ran ran = run({"--socket", socket, "config", "reload"});
  CHECK(ran.exit == 1);
  CHECK(ran.err == "hawserctl: a:1:1: x\nb:2:2: y\\x1b\n");
}

TEST_CASE("B27 without an agent it exits 3, and names the socket and what to do") {
  for (const char* command : {"state", "reset", "history"}) {
    const Ran ran = run({command, "--socket", "/nonexistent/control.sock"});
    CHECK(ran.exit == 3);
    CHECK(ran.err ==
          "hawserctl: no agent is running: nothing listens at /nonexistent/control.sock; start hawserd, or "
          "name its socket with --socket\n");
  }
  CHECK(run({"version", "--socket", "/nonexistent/control.sock"}).exit == 0);
}

TEST_CASE("B26 where the user may not ask the agent, it says whose socket it is and what to do") {
  const Agent agent;
  if (::geteuid() != 0) return;  // nobody else to be
  const auto said = program_output(
      {"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", HAWSERCTL, "--socket", agent.socket, "state"},
      10'000, std::chrono::seconds(20));
  REQUIRE(said);
  CHECK(*said == "hawserctl: the socket " + agent.socket + " is not open to this user; run hawserctl as root\n");
}

TEST_CASE("B28 an older agent's refusal and a newer agent's unknown members are no crash") {
  const TestFolder folder;
  const std::string socket = (folder.path() / "control.sock").string();
  const ServerThread server(socket, [](Loop&) -> ControlServer::Handler {
    return [](Request request, Reply reply) {
      if (request.command == "state")
        return reply(parse(R"({"device_state":"Idle","of_tomorrow":[{}],"servers":[[]]})"));
      reply(Error{"unknown_command", "\"" + request.command + "\" is no command here"});
    };
  });
  CHECK(run({"--socket", socket, "state"}).exit == 0);
  const Ran history = run({"--socket", socket, "history"});
  CHECK(history.exit == 1);
  CHECK(history.err == "hawserctl: \"history\" is no command here\n");
}

TEST_CASE("B22 B23 B24 B25 wrong usage exits 2 with one sentence") {
  struct Row {
    std::vector<std::string> words;
    std::string sentence;
  };
  const Row rows[] = {
      {{"stat"}, "stat is no command; did you mean state?"},
      {{"plugin"},
       "name a command: plugin list, plugin show, plugin restart, plugin release, plugin install, plugin enable, "
       "plugin disable, plugin remove, plugin verify, plugin consent"},
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
                                                       {"history", "--limit", "0"},
                                                       {"history", "--limit", "many"},
                                                       {"history", "--limit"},
                                                       {"unbind"},
                                                       {"reset", "--first=maybe"},
                                                       {"xyzzy"},
                                                       {},
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
  CHECK(run({}).err.rfind("hawserctl: name a command: state, history, reset, ", 0) == 0);
  CHECK(run({"xyzzy"}).err.rfind("hawserctl: xyzzy is no command; there are: state, ", 0) == 0);
  CHECK(run({"\x1b[2J"}).err.rfind("hawserctl: \\x1b[2J is no command; there are: state, ", 0) == 0);
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
