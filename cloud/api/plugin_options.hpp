#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

#include "cloud/store/store.hpp"

// The command lines of `site`, `plugin` and `device plugin`.
namespace hawser::cloud {

struct Settings;

using OnStore = std::function<int(const Settings&, Store&)>;
// Has `work` done when this command was named; `before` is run first, when the command line is read.
using Choose = std::function<void(CLI::App& command, OnStore work, std::function<void()> before)>;

// `config`: the path of cloud.toml, which `site set` may name as well.
void add_site_options(CLI::App& app, std::string& config, const Choose& choose);
void add_plugin_options(CLI::App& app, const Choose& choose);
void add_device_plugin_options(CLI::App& device, const Choose& choose);

}  // namespace hawser::cloud
