#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/base/json.hpp"
#include "core/config/load.hpp"
#include "core/config/local_file.hpp"
#include "core/control/ctl_commands.hpp"

namespace CLI {
class App;
}

// What the families of hawserctl's commands share. A family is a file ctl_<family>.cpp with one function
// add_<family>_commands(app, options, run): it adds its subcommands, and the one that was typed leaves in `run` what is
// to be done. One thread.
namespace hawser::control {

using Run = std::function<CtlOutcome()>;

inline constexpr std::size_t kMessageBytesMax = 2000;  // of a line of a message as it is shown
inline constexpr std::size_t kMessageLinesMax = 200;   // a refused configuration has a line for every fault

// A message of one line or more, safe for a terminal, without a newline at its end.
std::string printable_lines(std::string_view text);

CtlOutcome failed(const CtlOptions& options, const Error& error);
CtlOutcome done(const CtlOptions& options, const json::Object& result, const std::string& text);
CtlOutcome usage(const std::string& sentence);  // exit 2
// One question to the agent, and its answer. `end_at`: as ControlClient::end_at().
Result<json::Object> ask(const CtlOptions& options, const std::string& command,
                         const json::Object& args = json::make_object(), int end_at = -1);
config::DeviceSources device_sources(const CtlOptions& options);  // for config::load()
// What the agent knows of the time: certificates are not checked at an earlier one (conn-23).
std::chrono::system_clock::time_point earliest_time(const CtlOptions& options);
// Changes conf.d/50-hawserctl.toml, tells a running agent, and says what became of both.
CtlOutcome change_local_file(const CtlOptions& options, const std::function<Status(config::LocalFile&)>& edit);
json::Object one_argument(const std::string& name, const std::string& value);

}  // namespace hawser::control
