#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/control/ctl_support.hpp"

// `server`, `backup-server`, `keepalive` and `ping`: they change conf.d/50-hawserctl.toml of options.config_dir,
// nothing else, and only when the whole configuration is good with the change; then a running agent is told (conn-25).
// They work without an agent. Numbers are taken as they were typed: a refusal names them. One thread.
namespace hawser::control {

// A server as a command names it. An empty member was not named.
struct ServerSpec {
  std::string domain;
  std::vector<std::string> ports;  // none: the authentication port
  std::string vpn_instance, source_ip, ip_version;
};

// As the guide has it: the name of the primary adds a port (and takes over what else is named), another name replaces
// the primary.
CtlOutcome set_server(const CtlOptions& options, const ServerSpec& server);
// `domain`: only when the primary has this name; empty: whichever it is.
CtlOutcome unset_server(const CtlOptions& options, const std::string& domain = "");
CtlOutcome add_backup_server(const CtlOptions& options, const ServerSpec& server);
// One port of it, or, without one, the whole server.
CtlOutcome remove_backup_server(const CtlOptions& options, const std::string& domain,
                                const std::optional<std::string>& port);
CtlOutcome list_backup_servers(const CtlOptions& options);

// Nothing means: back to the default.
CtlOutcome set_authentication_port(const CtlOptions& options, const std::optional<std::string>& port);
CtlOutcome set_keepalive_interval(const CtlOptions& options, const std::optional<std::string>& seconds);
CtlOutcome set_keepalive_count(const CtlOptions& options, const std::optional<std::string>& count);
CtlOutcome set_ping_interval(const CtlOptions& options, const std::optional<std::string>& seconds);

// In the clear; it is stored encrypted with a key bound to this device (conn-15). Nothing removes it.
CtlOutcome set_password(const CtlOptions& options, const std::optional<std::string>& password);
// As it stands in a file: taken only when this device can open it.
CtlOutcome set_password_cipher(const CtlOptions& options, const std::string& cipher);

void add_server_commands(CLI::App& app, const CtlOptions& options, Run& run);

}  // namespace hawser::control
