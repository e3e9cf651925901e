#include "core/control/ctl_shell.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <array>
#include <cerrno>
#include <cstring>

#include "core/base/encoding.hpp"
#include "core/control/ctl_connection.hpp"
#include "core/control/ctl_servers.hpp"
#include "core/control/ctl_terminal.hpp"
#include "core/control/shell_grammar.hpp"
#include "core/control/state_text.hpp"

namespace hawser::control {
namespace {

// Lines of a terminal, a pipe or a file. What is longer than kShellLineBytesMax is cut, so that the grammar refuses it.
class LineReader {
 public:
  explicit LineReader(int fd) : fd_(fd) {}

  // Nothing at the end of the input. Error io_error.
  Result<std::optional<std::string>> next() {
    std::string line;
    for (;;) {
      if (at_ == filled_) {
        const ssize_t got = ::read(fd_, buffer_.data(), buffer_.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return Error{"io_error", std::string("cannot read the commands: ") + std::strerror(errno)};
        if (got == 0) return line.empty() ? std::optional<std::string>() : line;
        at_ = 0;
        filled_ = static_cast<std::size_t>(got);
      }
      const char c = buffer_[at_++];
      if (c == '\n') return std::optional(line);
      if (line.size() <= kShellLineBytesMax) line += c;
    }
  }

 private:
  const int fd_;
  std::array<char, 4096> buffer_{};
  std::size_t at_ = 0, filled_ = 0;
};

ServerSpec server_of(const ShellCommand& command) {
  ServerSpec server;
  server.domain = command.value;
  if (!command.port.empty()) server.ports.push_back(command.port);
  server.vpn_instance = command.vpn_instance;
  server.source_ip = command.source_ip;
  return server;
}

std::optional<std::string> named(const std::string& text) { return text.empty() ? std::nullopt : std::optional(text); }

// What changes the configuration.
CtlOutcome configure(const CtlOptions& options, const ShellCommand& command) {
  const std::string& value = command.value;
  switch (command.action) {
    case ShellAction::Server:
      return set_server(options, server_of(command));
    case ShellAction::BackupServer:
      return add_backup_server(options, server_of(command));
    case ShellAction::KeepaliveInterval:
    case ShellAction::UndoKeepaliveInterval:
      return set_keepalive_interval(options, named(value));
    case ShellAction::KeepaliveCount:
    case ShellAction::UndoKeepaliveCount:
      return set_keepalive_count(options, named(value));
    case ShellAction::PingInterval:
    case ShellAction::UndoPingInterval:
      return set_ping_interval(options, named(value));
    case ShellAction::ServerPort:
    case ShellAction::UndoServerPort:
      return set_authentication_port(options, named(value));
    case ShellAction::PasswordCipher:
      return set_password_cipher(options, value);
    case ShellAction::PasswordSimple:
    case ShellAction::UndoPassword:
      return set_password(options, named(value));
    case ShellAction::UndoServer:
      return unset_server(options, value);
    case ShellAction::UndoBackupServer:
      return remove_backup_server(options, value, named(command.port));
    default:
      return failed(options, {"unknown_command", "this command changes no configuration"});
  }
}

// One run of the shell. Every line is run, whatever became of the lines before.
class Shell {
 public:
  Shell(const CtlOptions& options, int input) : options_(options), reader_(input), asks_(::isatty(input)) {
    std::array<char, 256> name{};
    if (::gethostname(name.data(), name.size() - 1) == 0) host_ = printable(name.data(), 64);
  }

  CtlOutcome run() {
    while (!ended_) {
      if (asks_) print_now(view_ == ShellView::User ? "<" + host_ + "> " : "[" + host_ + "] ");
      auto line = reader_.next();
      if (!line) return failed(options_, line.error());
      if (!*line) {
        if (asks_) print_now("\n");
        break;
      }
      ++number_;
      const CtlOutcome outcome = run_line(**line);
      failed_ = failed_ || outcome.exit != CtlExit::Done;
      if (!show(outcome)) return {};  // nobody reads
    }
    return {failed_ ? CtlExit::Failed : CtlExit::Done, "", ""};
  }

 private:
  CtlOutcome run_line(const std::string& line) {
    const auto command = parse_shell_line(line);
    if (!command) return failed(options_, command.error());
    // A pasted prompt shows in which view the command was meant to be typed.
    if (command->prompt) view_ = *command->prompt;
    if (command->needs_system_view && view_ != ShellView::System)
      return failed(options_, {"bad_request", "this command belongs to the system view: type system-view first"});
    return execute(*command);
  }

  CtlOutcome execute(const ShellCommand& command);
  void leave() {
    if (view_ == ShellView::User) ended_ = true;
    view_ = ShellView::User;
  }

  CtlOutcome display() {
    const auto state = ask(options_, "state");
    return state ? done(options_, *state, guide_text(*state)) : failed(options_, state.error());
  }

  // A sentence about a line of a file or a pipe says which line.
  bool show(CtlOutcome outcome) {
    constexpr std::string_view kName = "hawserctl: ";
    if (!asks_ && outcome.err.rfind(kName, 0) == 0)
      outcome.err.insert(kName.size(), "line " + std::to_string(number_) + ": ");
    const bool printed = print_now(outcome.out) || errno != EPIPE;
    write_all(STDERR_FILENO, outcome.err);
    return printed;
  }

  const CtlOptions& options_;
  LineReader reader_;
  const bool asks_;  // a person types
  std::string host_ = "Device";
  ShellView view_ = ShellView::User;
  std::size_t number_ = 0;
  bool ended_ = false, failed_ = false;
};

CtlOutcome Shell::execute(const ShellCommand& command) {
  const std::string& value = command.value;
  switch (command.action) {
    case ShellAction::Nothing:
      return {};
    case ShellAction::SystemView:
      view_ = ShellView::System;
      return {};
    case ShellAction::Quit:
      leave();
      return {};
    case ShellAction::Return:
      view_ = ShellView::User;
      return {};
    case ShellAction::DisplayState:
      return display();
    case ShellAction::ResetTunnel:
      return reset_connection(options_, false);
    case ShellAction::Unbind:
      return unbind(options_, value);
    default:
      return configure(options_, command);
  }
}

CtlOutcome run_shell(const CtlOptions& options, const std::string& file) {
  Descriptor opened;
  if (!file.empty() && file != "-") {
    opened.reset(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!opened) return failed(options, {"io_error", "cannot open " + file + ": " + std::strerror(errno)});
  }
  return Shell(options, opened ? opened.get() : STDIN_FILENO).run();
}

}  // namespace

void add_shell_commands(CLI::App& app, const CtlOptions& options, Run& run) {
  auto* shell =
      app.add_subcommand("shell", "Take the commands of the vendor's guide from a terminal, a pipe or a file");
  const auto file = std::make_shared<std::string>();
  shell->add_option("FILE", *file, "A file with one command a line; without it, standard input");
  shell->callback([&, file] { run = [&, file] { return run_shell(options, *file); }; });
}

}  // namespace hawser::control
