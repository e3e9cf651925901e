#include "core/control/ctl_state.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <ctime>

#include "core/control/ctl_terminal.hpp"
#include "core/control/state_text.hpp"
#include "core/control/text_layout.hpp"

namespace hawser::control {
namespace {

constexpr const char* kHomeAndClear = "\x1b[H\x1b[J";

constexpr const char* kMoving[] = {"duration_s", "next_attempt_in_s", "clock_ahead_s"};
constexpr const char* kMovingOfServer[] = {"retry_in_s"};
constexpr const char* kMovingOfSubconnection[] = {"cpu_ms",        "pss_kib",       "rtt_ms",
                                                  "sent_messages", "sent_bytes",    "queued_messages",
                                                  "queued_bytes",  "spooled_bytes", "acked_seq"};

template <std::size_t N>
void remove_from_each(json::Object object, const char* list, const char* const (&names)[N]) {
  const auto array = json::array_member(object, list);
  for (std::size_t i = 0; array && i < (*array)->size(); ++i)
    if (auto one = json::object_at(*array, i))
      for (const char* name : names) (*one)->remove(name);
}

std::string now_text() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  char text[64];
  return {text, std::strftime(text, sizeof text, "%a %b %e %H:%M:%S %Y", ::localtime_r(&now, &parts))};
}

// As much of the text as stands on the terminal at once: what scrolls away could not be redrawn.
std::string fitting(const std::string& text, const TerminalSize& size) {
  std::size_t rows = 1, at = 0;  // the last row stays free for the cursor
  while (at < text.size()) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::size_t wide = columns(text.substr(at, end - at));
    rows += std::max<std::size_t>(1, (wide + size.columns - 1) / size.columns);
    if (size.rows != 0 && rows > size.rows) break;
    at = std::min(end + 1, text.size());
  }
  return text.substr(0, at);
}

// What one look at the agent came to, and how it is shown.
class Watch {
 public:
  explicit Watch(const CtlOptions& options) : options_(options), terminal_(!options.json && terminal_size().columns) {}

  CtlOutcome run() {
    do {
      const auto state = ask(options_, "state", json::make_object(), interrupt_.descriptor());
      if (!state && state.error().code == "cancelled") break;
      if (!state && !seen_) return failed(options_, state.error());
      seen_ = true;
      if (!(state ? show(*state) : show_absence(state.error()))) return end_of_output();
    } while (!interrupt_.wait(kWatchInterval));
    if (terminal_) print_now("\n");
    return {};
  }

 private:
  bool show(const json::Object& state) {
    if (terminal_) {
      const TerminalSize size = terminal_size();
      return interrupt_.print(kHomeAndClear + fitting(now_text() + "\n\n" + state_text(state, size.columns), size));
    }
    const std::string shown = options_.json ? json::to_text(state) : state_text(state, options_.width);
    const std::string watched = watched_text(state);  // takes members out of `state`
    if (std::exchange(last_, watched) == watched) return true;
    return interrupt_.print(options_.json ? shown + "\n" : now_text() + "\n" + shown + "\n");
  }

  // The agent may be restarted under our eyes: its absence is shown, and waited out.
  bool show_absence(const Error& error) {
    const CtlOutcome outcome = failed(options_, error);
    const std::string text = options_.json ? outcome.out : now_text() + "\n" + outcome.err + "Waiting for it.\n\n";
    if (terminal_) return interrupt_.print(kHomeAndClear + text);
    if (std::exchange(last_, text) == text) return true;
    return interrupt_.print(text);
  }

  CtlOutcome end_of_output() const {
    if (errno == EPIPE) return {};
    return {CtlExit::Failed, "", std::string("hawserctl: cannot print: ") + std::strerror(errno) + "\n"};
  }

  const CtlOptions& options_;
  const Interrupt interrupt_;
  const bool terminal_;
  bool seen_ = false;
  std::string last_;  // what was printed last, as it is compared
};

}  // namespace

std::string watched_text(json::Object state) {
  for (const char* name : kMoving) state->remove(name);
  remove_from_each(state, "servers", kMovingOfServer);
  remove_from_each(state, "subconnections", kMovingOfSubconnection);
  return json::to_text(state);
}

void add_state_commands(CLI::App& app, const CtlOptions& options, Run& run) {
  auto* state = app.add_subcommand("state", "Show the cloud connection and the subconnections");
  const auto watch = std::make_shared<bool>(false);
  state->add_flag("--watch", *watch,
                  "Go on showing it until Ctrl-C: a terminal is redrawn every second, a pipe gets one block a change");
  state->callback([&, watch] { run = [&, watch] { return *watch ? Watch(options).run() : show_state(options); }; });
}

}  // namespace hawser::control
