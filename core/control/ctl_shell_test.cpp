// `shell`, by the real hawserctl against a small server.
#include <fstream>

#include "core/control/run_hawserctl.hpp"
#include "core/control/testing.hpp"

using namespace hawser;
using namespace hawser::control;

namespace {

struct Agent {
  TestFolder folder;
  std::string socket = (folder.path() / "control.sock").string();
  ServerThread server{socket, [](Loop&) -> ControlServer::Handler {
                        return [](Request request, Reply reply) {
                          if (request.command == "unbind")
                            return reply(Error{"code_wrong", "the cloud refuses the code"});
                          reply(json::parse_object(R"({"cloud_connection_state":"Established","site":"x"})"));
                        };
                      }};
  Ran shell(const std::string& input) const { return run({"--socket", socket, "shell"}, input); }
};

const std::string kFirstLine = "Cloud connection state                      : Established\n";

std::size_t lines_of(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

}  // namespace

TEST_CASE("[state-5] [state-1] display works in any view, and prints the guide's 20 lines and nothing else") {
  const Agent agent;
  const Ran ran = agent.shell(
      "<Device> display cloud-management state\n<Device> system-view\n[Device] display cloud-management state");
  CHECK(ran.exit == 0);
  CHECK(ran.err == "");
  CHECK(ran.out.rfind(kFirstLine, 0) == 0);
  CHECK(lines_of(ran.out) == 40);
}

TEST_CASE(
    "[state-5] quit goes up one view and ends in the user view, return goes to it, and nothing is read after the end") {
  const Agent agent;
  CHECK(lines_of(agent.shell("system-view\nquit\ndis cl st\nquit\ndis cl st\n").out) == 20);
  CHECK(lines_of(agent.shell("system-view\nreturn\nquit\ndis cl st\n").out) == 0);
  CHECK(agent.shell("system-view\nreturn\ncloud-management ping 60\n").err ==
        "hawserctl: line 3: this command belongs to the system view: type system-view first\n");
}

TEST_CASE("[state-5] every line is run, each failure is named with its line, and the exit is 1") {
  const Agent agent;
  const Ran ran = agent.shell(
      "sistem-view\n[D] cloud-management unbinding-code ABCDEFG2\n[D] cloud-management "
      "unbinding-code abc\nreset cloud-management tunnel\n" +
      std::string(5000, 'x') + "\ndisplay cloud-management state\n");
  CHECK(ran.exit == 1);
  CHECK(ran.err ==
        "hawserctl: line 1: \"sistem-view\" is not understood here; the nearest command is: system-view\n"
        "hawserctl: line 2: the cloud refuses the code\n"
        "hawserctl: line 3: the unbinding code is \"abc\", must be 8 characters of A-Z and 2-9, as the cloud shows it\n"
        "hawserctl: line 5: the line is longer than 2048 bytes\n");
  CHECK(ran.out.rfind("The cloud connection is being established anew.\n" + kFirstLine, 0) == 0);
}

TEST_CASE("[state-5] commands come from a file too, and a missing one is named") {
  const Agent agent;
  const auto file = agent.folder.path() / "commands";
  std::ofstream(file) << "# Verify.\r\n\r\n<Device> display cloud-management state\r\n";
  const Ran ran = run({"--socket", agent.socket, "shell", file.string()});
  CHECK(ran.exit == 0);
  CHECK(lines_of(ran.out) == 20);
  const Ran missing = run({"shell", "/nonexistent/commands"});
  CHECK(missing.exit == 1);
  CHECK(missing.err == "hawserctl: cannot open /nonexistent/commands: No such file or directory\n");
  CHECK(run({"--socket", "/nonexistent/x", "shell"}, "display cloud-management state\n").exit == 1);
  CHECK(agent.shell("").exit == 0);
}

TEST_CASE("[state-5] a terminal is asked with the view's prompt") {
  const Agent agent;
  const Descriptor terminal(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  REQUIRE(terminal);
  REQUIRE(::grantpt(terminal.get()) == 0);
  REQUIRE(::unlockpt(terminal.get()) == 0);
  const Descriptor inner(::open(::ptsname(terminal.get()), O_RDWR | O_NOCTTY | O_CLOEXEC));
  Running shell({"--socket", agent.socket, "shell"}, Descriptor(::dup(terminal.get())), inner.get());
  CHECK(shell.wait_for("> ").find('<') != std::string::npos);
  const auto type = [&](const std::string& text) {
    REQUIRE(::write(terminal.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  };
  type("system-view\n");
  CHECK(shell.wait_for("] ").find('[') != std::string::npos);
  type("quit\n");
  type("quit\n");
  CHECK(shell.end(0) == 0);
}

TEST_CASE("[state-5] undo of the primary with another name than it has changes nothing") {
  const TestFolder folder;
  folder.write("hawser.toml", "[device]\nserial = \"S1\"\nmodel = \"M\"\n[[cloud.server]]\ndomain = \"a.example\"\n");
  const auto shell = [&](const std::string& line) {
    return run({"--socket", (folder.path() / "none").string(), "--config", folder.path().string(), "shell"},
               "system-view\n" + line + "\n");
  };
  const Ran other = shell("undo cloud-management server domain b.example");
  CHECK(other.exit == 1);
  CHECK(other.err ==
        "hawserctl: line 2: \"b.example\" is not the primary server, which is \"a.example\"; nothing was changed\n");
  CHECK(!std::filesystem::exists(folder.path() / "conf.d"));
  CHECK(shell("undo cloud-management server domain A.example").exit == 0);
  CHECK(shell("undo cloud-management server domain").err == "hawserctl: line 2: no primary server is set\n");
}

TEST_CASE("[state-5] a file with a byte order mark and CRLF is taken as it is") {
  const Agent agent;
  const Ran ran = agent.shell("\xef\xbb\xbfsystem-view\r\ndisplay cloud-management state\r\n");
  CHECK(ran.err == "");
  CHECK(ran.exit == 0);
  CHECK(lines_of(ran.out) == 20);
}
