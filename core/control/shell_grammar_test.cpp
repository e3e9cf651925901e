#include "core/control/shell_grammar.hpp"

#include "tests/catch.hpp"

using namespace hawser;
using namespace hawser::control;

namespace {

ShellCommand parsed(const std::string& line) {
  INFO(line);
  const auto command = parse_shell_line(line);
  REQUIRE(command);
  return *command;
}

std::string sentence(const std::string& line) {
  const auto command = parse_shell_line(line);
  return command ? "" : command.error().message;
}

}  // namespace

TEST_CASE("[state-5] every command of the guide is understood as it is written there") {
  struct Row {
    const char* line;
    ShellAction action;
    const char* value;
    bool needs_system_view;
  };
  const Row rows[] = {
      {"system-view", ShellAction::SystemView, "", false},
      {"quit", ShellAction::Quit, "", false},
      {"return", ShellAction::Return, "", false},
      {"display cloud-management state", ShellAction::DisplayState, "", false},
      {"reset cloud-management tunnel", ShellAction::ResetTunnel, "", false},
      {"cloud-management server domain oasis.h3c.com", ShellAction::Server, "oasis.h3c.com", true},
      {"cloud-management backup-server domain b.example", ShellAction::BackupServer, "b.example", true},
      {"cloud-management keepalive 180", ShellAction::KeepaliveInterval, "180", true},
      {"cloud-management keepalive interval 180", ShellAction::KeepaliveInterval, "180", true},
      {"cloud-management keepalive count 3", ShellAction::KeepaliveCount, "3", true},
      {"cloud-management ping 60", ShellAction::PingInterval, "60", true},
      {"cloud-management ping interval 60", ShellAction::PingInterval, "60", true},
      {"cloud-management server port 19443", ShellAction::ServerPort, "19443", true},
      {"cloud-management server password simple Secret1", ShellAction::PasswordSimple, "Secret1", true},
      {"cloud-management server password cipher $c$3$x", ShellAction::PasswordCipher, "$c$3$x", true},
      {"cloud-management unbinding-code ABCDEFG2", ShellAction::Unbind, "ABCDEFG2", true},
      {"undo cloud-management server domain", ShellAction::UndoServer, "", true},
      {"undo cloud-management server domain a.example", ShellAction::UndoServer, "a.example", true},
      {"undo cloud-management backup-server domain b.example", ShellAction::UndoBackupServer, "b.example", true},
      {"undo cloud-management backup-server domain b.example port 443", ShellAction::UndoBackupServer, "b.example",
       true},
      {"undo cloud-management keepalive", ShellAction::UndoKeepaliveInterval, "", true},
      {"undo cloud-management keepalive interval", ShellAction::UndoKeepaliveInterval, "", true},
      {"undo cloud-management keepalive count", ShellAction::UndoKeepaliveCount, "", true},
      {"undo cloud-management ping", ShellAction::UndoPingInterval, "", true},
      {"undo cloud-management server port", ShellAction::UndoServerPort, "", true},
      {"undo cloud-management server password", ShellAction::UndoPassword, "", true},
  };
  for (const Row& row : rows) {
    const ShellCommand command = parsed(row.line);
    CHECK(command.action == row.action);
    CHECK(command.value == row.value);
    CHECK(command.needs_system_view == row.needs_system_view);
    CHECK(!command.prompt);
  }
}

TEST_CASE("[state-5] a prompt in front tells the view, and empty lines and # lines are nothing") {
  CHECK(parsed("<Device> system-view").prompt == ShellView::User);
  const auto example = parsed("[Device-Vlan-interface1] cloud-management server domain oasis.h3c.com\r");
  CHECK(example.prompt == ShellView::System);
  CHECK(example.value == "oasis.h3c.com");
  CHECK(parsed("\xc2\xa0[H3C]\xc2\xa0"
               "display cloud-management state")
            .action == ShellAction::DisplayState);
  for (const char* line : {"", "  \t", "# Verify that it works.", "[Device]", "<Device> # a remark", "\r"})
    CHECK(parsed(line).action == ShellAction::Nothing);
}

TEST_CASE("[state-5] undo takes one port of a backup server") {
  CHECK(parsed("undo cloud-management backup-server domain b.example port 443").port == "443");
  CHECK(parsed("undo cloud-management backup-server domain b.example").port == "");
}

TEST_CASE("[state-5] options stand behind the name in any order, each once") {
  const auto all = parsed("cloud-management server domain a.b vpn-instance mgmt source-ip 192.0.2.9 port 19443");
  CHECK(all.vpn_instance == "mgmt");
  CHECK(all.source_ip == "192.0.2.9");
  CHECK(all.port == "19443");
  CHECK(sentence("cloud-management server domain a.b port 1 port 2") == "port stands twice; once is enough");
  CHECK(sentence("cloud-management server domain a.b port") == "port needs a value behind it");
  CHECK(sentence("cloud-management server domain a.b prot 5") ==
        "\"prot\" is not understood here; there are: port port-number, vpn-instance vpn-instance-name, source-ip "
        "ipv4-address");
}

TEST_CASE("[state-5] keywords may be shortened as long as they stay clear, and case does not count in them") {
  CHECK(parsed("sys").action == ShellAction::SystemView);
  CHECK(parsed("Dis Cloud St").action == ShellAction::DisplayState);
  CHECK(parsed("cloud server d Oasis.h3c.com p 19443").value == "Oasis.h3c.com");
  CHECK(parsed("cl ser pas sim x").action == ShellAction::PasswordSimple);
  CHECK(parsed("cl ser p 19443").action == ShellAction::ServerPort);
}

TEST_CASE("[state-5] what is not understood is answered with the nearest command, and never with a password") {
  CHECK(sentence("sistem-view") == "\"sistem-view\" is not understood here; the nearest command is: system-view");
  CHECK(sentence("cloud-management sever domain x") ==
        "\"sever\" is not understood here; the nearest command is: cloud-management server domain domain-name [ port "
        "port-number ] [ vpn-instance vpn-instance-name ] [ source-ip ipv4-address ]");
  CHECK(sentence("cloud-management keepalive count") ==
        "the command is not complete; the nearest command is: cloud-management keepalive count number");
  CHECK(sentence("display interface").find("display cloud-management state") != std::string::npos);
  for (const char* line :
       {"cloud-management server password TopSecret", "cloud-management server password simple a TopSecret",
        "cloud-management server pass TopSecret"}) {
    INFO(line);
    CHECK(sentence(line) != "");
    CHECK(sentence(line).find("TopSecret") == std::string::npos);
  }
  CHECK(sentence("\x1b[2J x").find('\x1b') == std::string::npos);
  CHECK(sentence(std::string(5000, 'x')) == "the line is longer than 2048 bytes");
}
