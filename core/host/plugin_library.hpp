#pragma once

#include <filesystem>
#include <string>

#include "core/base/result.hpp"
#include "hawser/plugin.h"

namespace hawser::host {

// Loads the shared object and asks it for its table: from `descriptor` where there is one (closed then), which is the file
// that was verified, whatever stands at `path` by now; `path` is for the operator. It is never unloaded: threads and thread-local destructors of a
// plugin may outlive every call. Errors are abi_refused with one sentence for the operator. Runs vendor code: service
// thread only.
Result<const hws_plugin*> load_plugin(const std::filesystem::path& path, int descriptor, const hws_host& host);

// Whether this host can run what the table describes, and whether it is what was verified.
Status check_table(const hws_plugin* table, const hws_host& host, const std::string& id, const std::string& version);

}  // namespace hawser::host
