#include "core/supervisor/plugin_process.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>

namespace hawser::supervisor {
namespace {
constexpr int kMessagesLeftBehind = 512;  // read after the end; more than a host's whole queue
constexpr std::size_t kOutputLeftBehind = 64 * 1024;
}  // namespace

static_assert(control::kChannelDescriptor == 3 && control::kFlightDescriptor == 4 && control::kLibraryDescriptor == 5,
              "descriptors are given in this order");

Result<std::unique_ptr<PluginProcess>> PluginProcess::start(Loop& loop, const Start& what, Events events) {
  auto ends = control::Channel::make_pair();
  if (!ends) return ends.error();
  std::unique_ptr<PluginProcess> process(new PluginProcess(loop, std::move(ends->first), std::move(events)));
  auto* self = process.get();
  ChildSpec spec{{what.program.string(), what.plugin}, {}, {ends->second.get(), what.flight, what.library}};
  spec.own_session = true;  // to the kernel's scheduler that is a group: eight busy threads weigh no more than another's one
  auto child = ChildProcess::start(loop, spec, [self] { self->on_end(); });
  if (!child) return child.error();
  process->child_ = std::move(*child);
  process->watch_channel();
  process->watch_output();
  return process;
}

PluginProcess::~PluginProcess() {
  loop_.cancel(channel_timer_);
  loop_.cancel(output_timer_);
  loop_.unwatch(channel_.descriptor());
  if (child_) loop_.unwatch(child_->output());
}

Status PluginProcess::send(const json::Object& message) {
  if (broken_) return Error{"closed", "the control channel is closed"};
  const auto status = channel_.send(message);
  if (!status && status.error().code != "too_big") {
    break_channel(status.error());
  } else {
    watch_channel();
  }
  return status;
}

void PluginProcess::kill() { child_->signal_group(SIGKILL); }

void PluginProcess::watch_channel() {
  if (broken_) return;
  const int events = (channel_paused_ ? 0 : POLLIN) | (channel_.wants_to_write() ? POLLOUT : 0);
  if (events == 0) return loop_.unwatch(channel_.descriptor());  // else a hang-up would spin
  loop_.watch(channel_.descriptor(), static_cast<short>(events), [this](short revents) {
    if (revents & POLLOUT) {
      if (const auto status = channel_.flush(); !status) return break_channel(status.error());
      watch_channel();
    }
    if (!channel_paused_ && (revents & ~POLLOUT)) read_channel();
  });
}

void PluginProcess::read_channel() {
  const TimePoint begin = Clock::now();
  for (int i = 0; i < kMessagesPerTurn && Clock::now() - begin < kReadingPerTurn; ++i) {
    const auto message = channel_.receive();
    if (!message) return break_channel(message.error());
    if (!*message) return;
    events_.message(**message);
    if (broken_) return;  // an answer could not be sent
  }
  const auto taken = std::chrono::ceil<milliseconds>(Clock::now() - begin);
  channel_paused_ = true;
  channel_timer_ = loop_.after(std::max(kReadingPause, taken * 4), [this] {
    channel_paused_ = false;
    watch_channel();
  });
  watch_channel();
}

void PluginProcess::break_channel(const Error& why) {
  if (broken_) return;
  broken_ = true;
  loop_.cancel(channel_timer_);
  loop_.unwatch(channel_.descriptor());
  events_.broken(why);
}

void PluginProcess::watch_output() {
  loop_.watch(child_->output(), POLLIN, [this](short) { read_output(); });
}

void PluginProcess::read_output() {
  if (!take_output(kOutputPerTurn)) return;
  loop_.unwatch(child_->output());
  output_timer_ = loop_.after(kOutputPause, [this] { watch_output(); });
}

// True when `limit` bytes were read and more may wait.
bool PluginProcess::take_output(std::size_t limit) {
  std::array<char, 4096> piece;
  for (std::size_t taken = 0; output_open_ && taken < limit;) {
    const ssize_t got = ::read(child_->output(), piece.data(), piece.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return false;
    if (got <= 0) {
      output_open_ = false;
      loop_.unwatch(child_->output());
      return false;
    }
    split_lines({piece.data(), static_cast<std::size_t>(got)});
    taken += static_cast<std::size_t>(got);
  }
  return output_open_;
}

void PluginProcess::split_lines(std::string_view piece) {
  while (!piece.empty()) {
    const std::size_t end = piece.find('\n');
    const std::size_t part = std::min({end, piece.size(), kOutputLineMax - line_.size()});
    line_ += piece.substr(0, part);
    const bool whole = part == end;
    piece.remove_prefix(whole ? part + 1 : part);
    if (!whole && line_.size() < kOutputLineMax) return;
    if (!line_.empty()) events_.line(line_);
    line_.clear();
  }
}

void PluginProcess::on_end() {
  loop_.cancel(channel_timer_);
  loop_.cancel(output_timer_);
  const ExitCause cause = child_->reap(true);
  for (int i = 0; i < kMessagesLeftBehind && !broken_; ++i) {
    const auto message = channel_.receive();
    if (!message || !*message) break;
    events_.message(**message);
  }
  broken_ = true;
  loop_.unwatch(channel_.descriptor());
  take_output(kOutputLeftBehind);
  if (!line_.empty()) events_.line(line_);
  loop_.unwatch(child_->output());
  const auto ended = std::move(events_.ended);
  ended(cause);  // may destroy us
}

}  // namespace hawser::supervisor
