#include "core/control/ctl_connection.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "core/base/encoding.hpp"
#include "core/control/state_text.hpp"

namespace hawser::control {
namespace {

constexpr std::size_t kCodeLength = 8;
constexpr int kHistoryLimitMax = 100'000;

bool is_code(const std::string& text) {
  return text.size() == kCodeLength &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= 'A' && c <= 'Z') || (c >= '2' && c <= '9'); });
}

}  // namespace

CtlOutcome reset_connection(const CtlOptions& options, bool first) {
  auto args = json::make_object();
  if (first) args->set("first", true);
  const auto result = ask(options, "reset", args);
  if (!result) return failed(options, result.error());
  return done(options, *result,
              first ? "The cloud connection is being established anew, from the first server of the list on.\n"
                    : "The cloud connection is being established anew.\n");
}

CtlOutcome unbind(const CtlOptions& options, const std::string& code) {
  if (!is_code(code))
    return failed(options, {"bad_code", "the unbinding code is \"" + printable(code, 32) +
                                            "\", must be 8 characters of A-Z and 2-9, as the cloud shows it"});
  const auto result = ask(options, "unbind", one_argument("code", code));
  if (!result) return failed(options, result.error());
  return done(options, *result, "The cloud has let this device go: it can be added to the cloud anew.\n");
}

CtlOutcome show_history(const CtlOptions& options, int limit) {
  auto args = json::make_object();
  if (limit > 0) args->set("limit", limit);
  const auto result = ask(options, "history", args);
  if (!result) return failed(options, result.error());
  const auto events = json::array_member(*result, "events", kHistoryLimitMax);
  if (!events) return failed(options, {"bad_response", "the agent's answer: " + events.error().message});
  return done(options, *result, history_text(*events, options.width));
}

void add_connection_commands(CLI::App& app, const CtlOptions& options, Run& run) {
  struct Typed {
    bool first = false;
    std::string code;
    int limit = 0;
  };
  const auto typed = std::make_shared<Typed>();
  auto* history = app.add_subcommand("history", "Show what happened to the connection and the plugins, oldest first");
  history->add_option("--limit", typed->limit, "At most this many, the newest")->check(CLI::Range(1, kHistoryLimitMax));
  history->callback([&, typed] { run = [&, typed] { return show_history(options, typed->limit); }; });
  auto* reset = app.add_subcommand("reset", "Leave the cloud and connect anew, at once");
  reset->add_flag("--first", typed->first, "Begin with the first server of the list, not with the present one");
  reset->callback([&, typed] { run = [&, typed] { return reset_connection(options, typed->first); }; });
  auto* unbinding = app.add_subcommand("unbind", "Let the device go from its cloud, with a code that the cloud made");
  unbinding->add_option("CODE", typed->code, "8 characters of A-Z and 2-9")->required();
  unbinding->callback([&, typed] { run = [&, typed] { return unbind(options, typed->code); }; });
}

}  // namespace hawser::control
