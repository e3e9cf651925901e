#include "core/control/ctl_support.hpp"

#include "core/base/encoding.hpp"
#include "core/connection/validity_floor.hpp"
#include "core/control/control_client.hpp"

namespace hawser::control {

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

}  // namespace hawser::control
