#pragma once

#include <string>

#include "core/control/ctl_support.hpp"

// `plugin`: what there is, what runs, and what comes and goes. Files are unpacked, verified and renamed in this process,
// by whoever may write to the plugins' folder; the agent is told to look again, and works where no agent runs, too.
// One thread; each blocks until it is done.
namespace hawser::control {

CtlOutcome install_plugin(const CtlOptions& options, const std::string& bundle, bool allow_older);
// For the agent, at the request of its cloud: `request` is a file {"plugin","version","url","sha256"}. Downloads the
// bundle, and installs it when it is what was asked for and a trusted key signed it, development mode or not.
CtlOutcome fetch_plugin(const CtlOptions& options, const std::string& request);
// Writes plugins.enabled into conf.d/50-hawserctl.toml, as the commands of ctl_servers.hpp write there.
CtlOutcome enable_plugin(const CtlOptions& options, const std::string& id);
CtlOutcome disable_plugin(const CtlOptions& options, const std::string& id);
// `version` empty: all of it. Without `force` not what is enabled, and not a version that the agent may still need.
CtlOutcome remove_plugin(const CtlOptions& options, const std::string& id, const std::string& version, bool force);
// A bundle, or a folder <id>/<version>. Changes nothing.
CtlOutcome verify_plugin(const CtlOptions& options, const std::string& path);
// To the permissions that a newer version asks for and the one that runs was not granted: to those that are shown, and
// no others. `version` empty: whichever waits.
CtlOutcome consent_to_plugin(const CtlOptions& options, const std::string& id, const std::string& version);

void add_plugin_commands(CLI::App& app, const CtlOptions& options, Run& run);

}  // namespace hawser::control
