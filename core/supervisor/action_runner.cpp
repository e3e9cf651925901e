#include "core/supervisor/action_runner.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

#include "core/base/log.hpp"
#include "core/supervisor/child_process.hpp"

namespace hawser::supervisor {
namespace {

constexpr mode_t kActionFileMask = 0022;  // an operator's command makes files as from a shell
constexpr int kReadsPerTurn = 16;         // of 16 KiB each, so that one talkative command does not hold the loop
const std::vector<std::string> kEnvironment = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                               "LANG=C"};

}  // namespace

struct ActionRunner::Run {
  std::string plugin, name;
  milliseconds time_limit{0};
  Done done;
  ActionResult result;
  std::unique_ptr<ChildProcess> child;
  Loop::TimerId timer = 0;
  bool output_open = true;
  bool over_time = false;
  bool ended = false;
};

ActionRunner::ActionRunner(Loop& loop) : loop_(loop) {}

ActionRunner::~ActionRunner() {
  *alive_ = false;
  for (auto& [id, run] : runs_) {
    loop_.cancel(run->timer);
    if (run->output_open) loop_.unwatch(run->child->output());
  }
}

ActionRunner::Run* ActionRunner::find(std::uint64_t id) {
  const auto found = runs_.find(id);
  return found == runs_.end() ? nullptr : found->second.get();
}

void ActionRunner::refuse(const std::string& reason, Done done) {
  loop_.after(milliseconds{0}, [alive = alive_, reason, done = std::move(done)] {
    if (*alive) done({std::nullopt, 0, "", reason});
  });
}

void ActionRunner::run(const std::string& plugin, const std::string& name, const config::Action& action, Done done) {
  const auto own = std::count_if(runs_.begin(), runs_.end(), [&](const auto& r) { return r.second->plugin == plugin; });
  if (static_cast<std::size_t>(own) >= kActionsPerPlugin)
    return refuse("did not start: 4 actions of this plugin run already", std::move(done));
  if (runs_.size() >= kActionsMax) return refuse("did not start: 32 actions run already", std::move(done));
  if (action.command.empty()) return refuse("did not start: its command is empty", std::move(done));
  if (!rates_.try_emplace(plugin, kActionsPerSecond, kActionsBurst).first->second.allow(Clock::now()))
    return refuse("did not start: this plugin starts more than 10 actions a second", std::move(done));
  const std::uint64_t id = ++last_id_;
  std::vector<std::string> environment = kEnvironment;
  environment.insert(environment.end(), action.environment.begin(), action.environment.end());
  const ChildSpec spec{action.command, std::move(environment), {}, kActionFileMask, /*own_session=*/true};
  auto child = ChildProcess::start(loop_, spec, [this, id] { on_end(id); });
  if (!child) return refuse("did not start: " + child.error().message, std::move(done));
  auto run = std::make_unique<Run>();
  run->plugin = plugin;
  run->name = name;
  run->time_limit = action.time_limit;
  run->done = std::move(done);
  run->child = std::move(*child);
  run->timer = loop_.after(action.time_limit, [this, id] { on_time_limit(id); });
  loop_.watch(run->child->output(), POLLIN, [this, id](short) { read_output(id); });
  spdlog::info("{}: action {} started, process {}", plugin, name, run->child->pid());
  runs_[id] = std::move(run);
}

void ActionRunner::read_output(std::uint64_t id) {
  Run& run = *find(id);
  std::array<char, 16384> piece;
  for (int i = 0; i < kReadsPerTurn; ++i) {
    const ssize_t got = ::read(run.child->output(), piece.data(), piece.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (got <= 0) {
      run.output_open = false;
      loop_.unwatch(run.child->output());
      if (run.ended) finish(id);
      return;
    }
    const std::size_t room = kActionOutputMax - run.result.output.size();
    run.result.output.append(piece.data(), std::min(room, static_cast<std::size_t>(got)));
  }
}

void ActionRunner::on_time_limit(std::uint64_t id) {
  Run& run = *find(id);
  run.over_time = true;
  run.result.reason = "was ended at its time limit of " + std::to_string(run.time_limit.count()) + " ms";
  run.child->signal_group(SIGTERM);
  run.timer = loop_.after(kActionTermGrace, [this, id] { find(id)->child->signal_group(SIGKILL); });
}

void ActionRunner::on_end(std::uint64_t id) {
  Run& run = *find(id);
  loop_.cancel(run.timer);
  // What a command leaves in the background on purpose, a restarted daemon for one, lives on, unless it was over time.
  const ExitCause cause = run.child->reap(run.over_time);
  run.ended = true;
  if (!run.over_time) {
    run.result.exit_code = cause.exit_code;
    run.result.signal = cause.signal;
    if (cause.signal != 0) run.result.reason = cause.sentence();
  }
  if (!run.output_open) return finish(id);
  // A process in the background may hold the pipe open for ever.
  run.timer = loop_.after(kActionOutputGrace, [this, id] { finish(id); });
}

void ActionRunner::finish(std::uint64_t id) {
  auto node = runs_.extract(id);
  Run& run = *node.mapped();
  loop_.cancel(run.timer);
  if (run.output_open) loop_.unwatch(run.child->output());
  const auto& result = run.result;
  spdlog::info(
      "{}: action {} {}", run.plugin, run.name,
      result.reason.empty() ? "exited with code " + std::to_string(result.exit_code.value_or(-1)) : result.reason);
  run.done(std::move(run.result));
}

}  // namespace hawser::supervisor
