// The command lines of `server`, `backup-server`, `keepalive` and `ping`.
#include <CLI/CLI.hpp>

#include "core/control/ctl_servers.hpp"
#include "core/control/password_prompt.hpp"

namespace hawser::control {
namespace {

struct Typed {
  ServerSpec spec;
  std::optional<std::string> value;
  bool unset = false;
};

void add_binding_options(CLI::App& command, ServerSpec& spec) {
  command.add_option("--port", spec.ports, "A TCP port, 1 to 65535; may be given three times")->take_all();
  command.add_option("--vpn-instance", spec.vpn_instance, "A VRF device, or a network namespace");
  command.add_option("--source-ip", spec.source_ip, "The address of this device to connect from");
  command.add_option("--ip-version", spec.ip_version, "4, 6 or any");
}

// An option that was given with nothing, as by a script with an empty variable, is not one that was not given.
CtlOutcome unless_empty(const CLI::App& command, const CtlOptions& options, const std::function<CtlOutcome()>& what) {
  for (const char* name : {"--vpn-instance", "--source-ip", "--ip-version"}) {
    if (command.count(name) > 0 && command[name]->results().back().empty())
      return failed(options,
                    {"bad_request", std::string(name) + " is \"\", must name something; leave it out for none"});
  }
  return what();
}

}  // namespace

void add_server_commands(CLI::App& app, const CtlOptions& options, Run& run) {
  const auto typed = std::make_shared<Typed>();
  const auto add = [&](CLI::App* command, std::function<CtlOutcome()> what) {
    command->callback([&run, what = std::move(what)] { run = what; });
    return command;
  };
  const auto add_number = [&](CLI::App* parent, const char* name, const char* help,
                              CtlOutcome (*set)(const CtlOptions&, const std::optional<std::string>&)) {
    auto* command =
        add(parent->add_subcommand(name, help), [&options, typed, set] { return set(options, typed->value); });
    command->add_option("N", typed->value, "The number; without it the default holds again");
  };

  auto* server = app.add_subcommand("server", "The primary server, the authentication port and the password");
  auto* set = add(server->add_subcommand("set", "Name the primary server; the same name again adds a port"),
                  [&options, typed, server] {
                    return unless_empty(*server->get_subcommand("set"), options,
                                        [&] { return set_server(options, typed->spec); });
                  });
  set->add_option("DOMAIN", typed->spec.domain, "The cloud's domain name")->required();
  add_binding_options(*set, typed->spec);
  add(server->add_subcommand("unset", "Forget the primary server"), [&options] { return unset_server(options); });
  add_number(server, "port", "The port for authentication, at servers that name none", set_authentication_port);
  auto* password =
      add(server->add_subcommand("password", "Set the password that the cloud asks for"), [&options, typed] {
        if (typed->unset) return set_password(options, std::nullopt);
        const auto read = read_new_password();
        return read ? set_password(options, *read) : failed(options, read.error());
      });
  password->add_flag("--unset", typed->unset, "Forget it");

  auto* backup = app.add_subcommand("backup-server", "The backup servers, at most eight");
  auto* more = add(backup->add_subcommand("add", "Add a backup server, or a port to it"), [&options, typed, backup] {
    return unless_empty(*backup->get_subcommand("add"), options,
                        [&] { return add_backup_server(options, typed->spec); });
  });
  more->add_option("DOMAIN", typed->spec.domain, "Its domain name")->required();
  add_binding_options(*more, typed->spec);
  auto* less = add(backup->add_subcommand("remove", "Remove a backup server, or one port of it"),
                   [&options, typed] { return remove_backup_server(options, typed->spec.domain, typed->value); });
  less->add_option("DOMAIN", typed->spec.domain, "Its domain name")->required();
  less->add_option("--port", typed->value, "This port only");
  add(backup->add_subcommand("list", "Show the backup servers"), [&options] { return list_backup_servers(options); });

  auto* keepalive = app.add_subcommand("keepalive", "How often keepalives go out, and how many may stay unanswered");
  add_number(keepalive, "interval", "Seconds between two keepalives, 10 to 600", set_keepalive_interval);
  add_number(keepalive, "count", "Unanswered ones before the agent registers anew, 1 to 60", set_keepalive_count);
  auto* ping = app.add_subcommand("ping", "How often pings go out");
  add_number(ping, "interval", "Seconds between two pings, 5 to 600", set_ping_interval);
}

}  // namespace hawser::control
