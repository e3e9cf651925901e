#pragma once

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/base/waker.hpp"
#include "core/control/channel.hpp"
#include "core/control/flight_page.hpp"
#include "tests/catch.hpp"

extern char** environ;

namespace hawser::host::testing {

using namespace std::chrono_literals;

// How a host is started that is more than its plugin.
struct HostStart {
  std::string plugin, config = "{}";
  std::string more = R"("x":0)";      // of the setup
  std::vector<std::string> before{};  // the program that starts the host, with its arguments
  int library = -1;                   // stands at descriptor 5
  std::filesystem::path state_dir{};  // empty: a new one, removed at the end
};

// A real hawser-host under the test's hand: the test is the core. Everything that the host says is kept in `heard`.
class HostProcess {
 public:
  static constexpr std::chrono::seconds kLimit{20};  // for whatever is waited for

  explicit HostProcess(const std::string& plugin, const std::string& config = "{}",
                       const std::string& more = R"("x":0)")
      : HostProcess(HostStart{plugin, config, more}) {}
  explicit HostProcess(const HostStart& start) : state_dir_(start.state_dir) {
    static int number = 0;
    if (state_dir_.empty()) {
      state_dir_ = std::filesystem::temp_directory_path() /
                   ("hawser-host-test-" + std::to_string(::getpid()) + "-" + std::to_string(++number));
      std::filesystem::create_directories(state_dir_);
    }
    auto pair = control::Channel::make_pair();
    REQUIRE(pair);
    spawn(pair->second.get(), start);
    channel_.emplace(std::move(pair->first));
    say(R"({"type":"setup","plugin":"acme.probe","version":"1.2.3","digest":"sha256:00","instance":"1","library":")" +
        start.plugin + R"(","state_dir":")" + state_dir_.string() + R"(","config":)" + start.config +
        R"(,"serial":"SN-1","hostname":"box","site":"lab","ca_file":"","validity_floor":0,"actions":["allowed"],)" +
        R"("services":[{"service":"probe","protocols":["acme.probe.v1"]}],)" + start.more + "}");
  }
  ~HostProcess() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    std::filesystem::remove_all(state_dir_);
  }

  void say(const std::string& json) {
    const auto object = json::parse_object(json);
    REQUIRE(object);
    REQUIRE(channel_->send(*object));
  }

  // The first message from here on that `matches`; fails the test when none comes in time.
  json::Object wait_for(const std::string& what, const std::function<bool(const json::Object&)>& matches) {
    const auto until = Clock::now() + kLimit;
    for (;;) {
      while (looked_ < heard.size()) {
        const json::Object message = heard[looked_++];
        if (matches(message)) return message;
      }
      if (Clock::now() < until && read_some(until)) continue;
      FAIL("waiting for " << what << "\n" << story());  // told at the end only: a flood makes a long story
    }
  }
  json::Object wait_for_type(const std::string& type) {
    return wait_for(type, [&](const json::Object& message) { return json::text_or(message, "type") == type; });
  }
  // A line that begins with `text`, also one that came earlier: lines of different threads have no order.
  void wait_for_log(const std::string& text) {
    const auto until = Clock::now() + kLimit;
    while (!heard_log(text)) {
      INFO("waiting for the log line " << text << "\n" << story());
      REQUIRE(read_some(until));
    }
  }
  void wait_for_state(const std::string& state) {
    wait_for("state " + state, [&](const json::Object& message) { return json::text_or(message, "state") == state; });
  }

  // The exit code; -N for a signal.
  int wait_for_exit(std::chrono::milliseconds limit = kLimit) {
    pollfd end{pid_descriptor_.get(), POLLIN, 0};
    const bool ended = ::poll(&end, 1, static_cast<int>(limit.count())) == 1;
    INFO(story());
    REQUIRE(ended);
    while (read_some(Clock::now() + 100ms)) {
    }
    int status = 0;
    REQUIRE(::waitpid(pid_, &status, 0) == pid_);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

  void drop_channel() { channel_.reset(); }
  int pid() const { return pid_; }
  const std::filesystem::path& state_dir() const { return state_dir_; }
  std::string story() const {
    std::string all;
    for (const auto& message : heard) all += json::to_text(message) + "\n";
    return all;
  }
  bool heard_log(const std::string& text) const {
    for (const auto& message : heard) {
      if (json::text_or(message, "message").find(text) == 0) return true;
    }
    return false;
  }

  std::vector<json::Object> heard;

 private:
  void spawn(int channel_end, const HostStart& start) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    // Copies above all numbers that the host gets, so that neither dup2 closes what the other one needs.
    const Descriptor channel(::fcntl(channel_end, F_DUPFD_CLOEXEC, 100));
    const Descriptor library(start.library < 0 ? -1 : ::fcntl(start.library, F_DUPFD_CLOEXEC, 100));
    posix_spawn_file_actions_adddup2(&actions, channel.get(), control::kChannelDescriptor);
    if (library) posix_spawn_file_actions_adddup2(&actions, library.get(), control::kLibraryDescriptor);
    posix_spawn_file_actions_addclosefrom_np(&actions, control::kLibraryDescriptor + 1);
    std::vector<std::string> command = start.before;
    command.push_back(HAWSER_HOST_PROGRAM);
    std::vector<char*> arguments;
    for (auto& word : command) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    REQUIRE(::posix_spawn(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ) == 0);
    posix_spawn_file_actions_destroy(&actions);
    pid_descriptor_.reset(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
    REQUIRE(pid_descriptor_);
  }

  // False when nothing more comes: the time is over or the host has gone.
  bool read_some(TimePoint until) {
    if (!channel_) return false;
    for (;;) {
      auto message = channel_->receive();
      if (!message) return false;
      if (*message) {
        heard.push_back(**message);
        return true;
      }
      pollfd ready{channel_->descriptor(), POLLIN, 0};
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
      if (left.count() <= 0 || ::poll(&ready, 1, static_cast<int>(left.count())) <= 0) return false;
    }
  }

  std::filesystem::path state_dir_;
  std::optional<control::Channel> channel_;
  pid_t pid_ = -1;
  Descriptor pid_descriptor_;
  std::size_t looked_ = 0;
};

}  // namespace hawser::host::testing
