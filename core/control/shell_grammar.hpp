#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.hpp"

// The commands of the guide's command line, as one line each (promise state-5). No terminal, no agent; any thread.
namespace hawser::control {

inline constexpr std::size_t kShellLineBytesMax = 2048;

enum class ShellView { User, System };

enum class ShellAction {
  Nothing,  // an empty line, or one that begins with #
  SystemView,
  Quit,
  Return,
  DisplayState,
  ResetTunnel,
  Server,
  BackupServer,
  KeepaliveInterval,
  KeepaliveCount,
  PingInterval,
  ServerPort,
  PasswordCipher,
  PasswordSimple,
  Unbind,
  UndoServer,
  UndoBackupServer,
  UndoKeepaliveInterval,
  UndoKeepaliveCount,
  UndoPingInterval,
  UndoServerPort,
  UndoPassword,
};

struct ShellCommand {
  ShellAction action = ShellAction::Nothing;
  bool needs_system_view = false;
  std::optional<ShellView> prompt;            // the view that a pasted prompt, <Device> or [Device], shows
  std::string value;                          // the command's own argument: domain, number, password or code, as typed
  std::string port, vpn_instance, source_ip;  // as typed; empty: not named
};

// Understands one line: the prompt in front is taken off, keywords may be shortened as long as they stay clear, case
// does not count in them. An Error is a sentence with the nearest command; it never shows a password.
Result<ShellCommand> parse_shell_line(std::string_view line);

}  // namespace hawser::control
