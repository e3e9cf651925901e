#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "core/base/loop.hpp"
#include "core/control/channel.hpp"
#include "core/control/flight_page.hpp"
#include "core/supervisor/child_process.hpp"

namespace hawser::supervisor {

inline constexpr int kMessagesPerTurn = 32;  // of one channel, then the others have their turn
inline constexpr std::chrono::microseconds kReadingPerTurn{2000};
inline constexpr milliseconds kReadingPause{50};  // after a full turn, and at least four times as long as it took
inline constexpr std::size_t kOutputLineMax = 1024;
inline constexpr std::size_t kOutputPerTurn = 16 * 1024;
inline constexpr milliseconds kOutputPause{20};  // after a full turn: at most 800 KiB a second of one plugin

// One running hawser-host: its process group, its control channel, and what it prints. A host that floods either gets a
// fixed share of this thread and is held up itself by the full socket or pipe.
// Owned by SupervisedPlugin, lives on the loop's thread. Its destructor kills the group.
class PluginProcess {
 public:
  // `ended` comes once and last, after the messages and lines that the host left behind; only from inside `ended` may
  // the PluginProcess be destroyed. `broken` comes at most once: the channel is of no use any more.
  struct Events {
    std::function<void(const json::Object&)> message;
    std::function<void(const std::string&)> line;  // of standard output or error, without its end
    std::function<void(const Error&)> broken;
    std::function<void(const ExitCause&)> ended;
  };

  // What the host gets: the flight page at descriptor 4 and the plugin's library at 5. Both stay the caller's.
  struct Start {
    std::filesystem::path program;
    std::string plugin;  // its id, for people who look at a process list; the host goes by its setup message
    int flight = -1, library = -1;
  };
  static Result<std::unique_ptr<PluginProcess>> start(Loop& loop, const Start& what, Events events);
  PluginProcess(const PluginProcess&) = delete;
  PluginProcess& operator=(const PluginProcess&) = delete;
  ~PluginProcess();

  pid_t pid() const { return child_->pid(); }
  // Once the channel is broken messages go nowhere. `too_big` is the caller's fault and breaks nothing.
  Status send(const json::Object& message);
  void kill();

 private:
  PluginProcess(Loop& loop, Descriptor channel, Events events)
      : loop_(loop), channel_(std::move(channel)), events_(std::move(events)) {}
  void watch_channel();
  void read_channel();
  void break_channel(const Error& why);
  void watch_output();
  void read_output();
  bool take_output(std::size_t limit);
  void split_lines(std::string_view piece);
  void on_end();

  Loop& loop_;
  control::Channel channel_;
  Events events_;
  std::unique_ptr<ChildProcess> child_;
  bool broken_ = false, output_open_ = true;
  bool channel_paused_ = false;
  Loop::TimerId channel_timer_ = 0, output_timer_ = 0;
  std::string line_;
};

}  // namespace hawser::supervisor
