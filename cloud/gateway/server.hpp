#pragma once

#include <functional>
#include <string>

#include "cloud/api/settings.hpp"
#include "cloud/store/store.hpp"

namespace hawser::cloud {

// Both ports, TLS, HTTP and the hub behind them, on the thread that calls run(). Returns the exit code: 0 after SIGTERM
// or SIGINT, 1 when a port cannot be opened or a certificate cannot be read (the reason is in the log).
// `reread` reads the configuration anew at SIGHUP.
int run_server(Settings settings, Store& store, std::function<SettingsRead()> reread);

}  // namespace hawser::cloud
