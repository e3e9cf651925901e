#include "core/control/ctl_support.hpp"

#include "core/base/encoding.hpp"
#include "core/connection/validity_floor.hpp"
#include "core/control/control_client.hpp"

namespace hawser::control {
namespace {

// Writes, tells a running agent, and says what became of both.
CtlOutcome write_and_tell(const CtlOptions& options, config::LocalFile& file) {
  const auto written = file.write(device_sources(options));
  if (!written) return failed(options, written.error());
  const std::string where = printable((options.config_dir / config::kLocalFile).string(), kMessageBytesMax);
  auto answer = json::make_object();
  answer->set("file", (options.config_dir / config::kLocalFile).string());
  answer->set("changed", written->changed);
  auto warnings = json::make_array();
  std::string text = written->changed ? "Written to " + where + ". " : where + " says so already. ";
  const auto taken = ask(options, "config_reload");
  if (!taken && taken.error().code != "not_running")
    return failed(options,
                  {taken.error().code,
                   "it is written to " + where + ", but the running agent has not taken it: " + taken.error().message});
  answer->set("agent", taken ? "reloaded" : "not_running");
  text += taken ? "The running agent has taken it.\n" : "No agent is running; it counts from its next start on.\n";
  for (const auto& warning : written->warnings) {
    warnings->add(warning);
    text += printable_lines(warning) + " (a warning)\n";
  }
  answer->set("warnings", warnings);
  return done(options, answer, text);
}

}  // namespace

std::string printable_lines(std::string_view text) {
  std::string shown;
  for (std::size_t lines = 0; lines < kMessageLinesMax; ++lines) {
    const auto end = text.find('\n');
    shown += (lines == 0 ? "" : "\n") + printable(text.substr(0, end), kMessageBytesMax);
    if (end == std::string_view::npos || end + 1 == text.size()) return shown;
    text.remove_prefix(end + 1);
  }
  return shown + "\n...";
}

CtlOutcome failed(const CtlOptions& options, const Error& error) {
  CtlOutcome outcome;
  outcome.exit = error.code == "not_running" ? CtlExit::NotRunning : CtlExit::Failed;
  outcome.err = "hawserctl: " + printable_lines(error.message) + "\n";
  if (options.json) {
    auto detail = json::make_object();
    detail->set("code", error.code);
    detail->set("message", error.message);
    auto answer = json::make_object();
    answer->set("error", detail);
    outcome.out = json::to_text(answer) + "\n";
  }
  return outcome;
}

Result<json::Object> ask(const CtlOptions& options, const std::string& command, const json::Object& args, int end_at) {
  auto client = ControlClient::connect(options.socket);
  if (!client) return client.error();
  client->end_at(end_at);
  return client->call(command, args);
}

CtlOutcome done(const CtlOptions& options, const json::Object& result, const std::string& text) {
  return {CtlExit::Done, options.json ? json::to_text(result) + "\n" : text, ""};
}

CtlOutcome usage(const std::string& sentence) {
  return {CtlExit::Usage, "", "hawserctl: " + sentence + "\nRun hawserctl --help for more.\n"};
}

std::chrono::system_clock::time_point earliest_time(const CtlOptions& options) {
  return connection::ValidityFloor(options.state_dir / connection::ValidityFloor::kFile).value();
}

config::DeviceSources device_sources(const CtlOptions& options) {
  config::DeviceSources sources;
  sources.state_dir = options.state_dir;
  return sources;
}

json::Object one_argument(const std::string& name, const std::string& value) {
  auto args = json::make_object();
  args->set(name, value);
  return args;
}

CtlOutcome change_local_file(const CtlOptions& options, const std::function<Status(config::LocalFile&)>& edit) {
  auto file = config::LocalFile::open(options.config_dir);
  if (!file) return failed(options, file.error());
  if (const auto edited = edit(*file); !edited) return failed(options, edited.error());
  return write_and_tell(options, *file);
}

}  // namespace hawser::control
