#include "core/connection/test_cloud.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <stdexcept>

extern char** environ;

namespace hawser::connection {
namespace {

struct Pipe {
  Descriptor read, write;
  Pipe() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
    read.reset(ends[0]);
    write.reset(ends[1]);
  }
};

}  // namespace

TestCloud::TestCloud(const std::string& plan) {
  ::signal(SIGPIPE, SIG_IGN);  // a cloud that died is told by what the test misses
  Pipe to, from;
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, to.read.get(), 0);
  ::posix_spawn_file_actions_adddup2(&actions, from.write.get(), 1);
  const std::string folder = folder_.path().string();
  std::array arguments{const_cast<char*>("/usr/bin/python3"), const_cast<char*>(HAWSER_SCRIPTED_CLOUD),
                       const_cast<char*>(folder.c_str()), const_cast<char*>(plan.c_str()), static_cast<char*>(nullptr)};
  const int error = ::posix_spawn(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) throw std::runtime_error("cannot start the scripted cloud");
  in_ = std::move(to.write);
  out_ = std::move(from.read);
  const auto ready = next();
  port_ = static_cast<std::uint16_t>(json::integer_or(ready, "port", 0));
  connect_port_ = static_cast<std::uint16_t>(json::integer_or(ready, "connect_port", 0));
  ca_file_ = json::text_or(ready, "ca");
  if (port_ == 0) throw std::runtime_error("the scripted cloud did not come up");
}

TestCloud::~TestCloud() { die(); }

void TestCloud::die() {
  if (pid_ == -1) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void TestCloud::thaw() { ::kill(pid_, SIGCONT); }

void TestCloud::freeze() { ::kill(pid_, SIGSTOP); }

std::string TestCloud::read_line(milliseconds patience) {
  const TimePoint limit = Clock::now() + patience;
  for (;;) {
    if (const auto end = buffer_.find('\n'); end != std::string::npos) {
      const std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return line;
    }
    const auto left = std::chrono::duration_cast<milliseconds>(limit - Clock::now()).count();
    pollfd ready{out_.get(), POLLIN, 0};
    if (left <= 0 || ::poll(&ready, 1, static_cast<int>(left)) <= 0) return "";
    std::array<char, 4096> piece;
    const ssize_t got = ::read(out_.get(), piece.data(), piece.size());
    if (got <= 0) return "";
    buffer_.append(piece.data(), static_cast<std::size_t>(got));
  }
}

json::Object TestCloud::next(milliseconds patience) {
  const std::string line = read_line(patience);
  story_ += (line.empty() ? "(nothing more came)" : line) + "\n";
  const auto seen = json::parse_object(line);
  return seen ? *seen : json::make_object();
}

json::Object TestCloud::wait_for(const std::string& what, const std::string& type, milliseconds patience) {
  const TimePoint limit = Clock::now() + patience;
  for (;;) {
    const auto left = std::chrono::duration_cast<milliseconds>(limit - Clock::now());
    auto seen = next(std::max(left, milliseconds(0)));
    if (seen->size() == 0) return seen;
    if (json::text_or(seen, "seen") != what) continue;
    if (type.empty()) return seen;
    const auto message = json::object_member(seen, "message");
    if (message && json::text_or(*message, "type") == type) return *message;
  }
}

void TestCloud::tell(const std::string& order) {
  const std::string line = order + "\n";
  if (::write(in_.get(), line.data(), line.size()) < 0) story_ += "(the cloud takes no orders)\n";
}

}  // namespace hawser::connection
