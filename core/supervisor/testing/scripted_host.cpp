// A host for the supervisor's tests: speaks the control channel, and behaves as its setup's config.behave says.
#include <dirent.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "core/control/channel.hpp"

using namespace hawser;

extern char** environ;

namespace {

control::Channel& channel() {
  static control::Channel one{Descriptor(control::kChannelDescriptor)};
  return one;
}

json::Object typed(const char* type) {
  auto message = json::make_object();
  message->set("type", type);
  return message;
}

// Waits for room, as a plugin that cannot go on without its message would.
void send(const json::Object& message) {
  pollfd writable{channel().descriptor(), POLLOUT, 0};
  if (!channel().send(message)) std::_Exit(20);
  while (channel().wants_to_write()) {
    ::poll(&writable, 1, -1);
    if (!channel().flush()) std::_Exit(21);
  }
}

json::Object next() {
  pollfd readable{channel().descriptor(), POLLIN, 0};
  for (;;) {
    ::poll(&readable, 1, -1);
    const auto message = channel().receive();
    if (!message) std::_Exit(22);  // the core is gone
    if (*message) return **message;
  }
}

void event(const std::string& reason, const std::string& detail) {
  auto message = typed("event");
  message->set("kind", "config");
  message->set("reason", reason);
  message->set("detail", detail);
  send(message);
}

void refuse(const char* reason, const char* detail) {
  auto message = typed("refused");
  message->set("reason", reason);
  message->set("detail", detail);
  send(message);
  std::_Exit(0);
}

void health(const char* state, const char* detail) {
  auto message = typed("health");
  message->set("state", state);
  message->set("detail", detail);
  send(message);
}

void subconnection(const std::string& service, const char* state, int sent, int dropped) {
  auto message = typed("subconnection");
  message->set("service", service);
  message->set("state", state);
  message->set("sent_messages", sent);
  message->set("buffer_full_count", 1);
  auto drops = json::make_object();
  drops->set("queue_full", dropped);
  drops->set("expired", 1);
  message->set("dropped", drops);
  send(message);
}

std::string open_descriptors() {
  std::string text;
  DIR* folder = ::opendir("/proc/self/fd");
  while (const dirent* entry = ::readdir(folder)) {
    const std::string name = entry->d_name;
    if (name[0] != '.' && name != std::to_string(::dirfd(folder))) text += name + " ";
  }
  ::closedir(folder);
  return text;
}

void show_process() {
  char input[64] = {};
  if (::readlink("/proc/self/fd/0", input, sizeof input - 1) < 0) std::_Exit(23);
  sigset_t blocked;
  ::sigprocmask(SIG_BLOCK, nullptr, &blocked);
  event("process", "descriptors " + open_descriptors() + "input " + input + " environment " +
                       (environ[0] ? environ[0] : "empty") + " leads its group " +
                       (::getpgrp() == ::getpid() ? "yes" : "no") + " term blocked " +
                       (::sigismember(&blocked, SIGTERM) ? "yes" : "no"));
}

[[noreturn]] void flood(const std::string& with) {
  auto log = typed("log");
  log->set("level", "info");
  log->set("message", std::string(200, 'x'));
  const std::string line = std::string(200, 'y') + "\n";
  for (;;) {
    if (with == "flood_log") send(log);
    if (with == "flood_channel") subconnection("shop", "ready", 1, 0);
    if (with == "flood_big") {
      log->set("message", std::string(60'000, 'z'));
      send(log);
    }
    if (with == "flood_output" && ::write(STDERR_FILENO, line.data(), line.size()) < 0) std::_Exit(24);
  }
}

[[noreturn]] void ignore_everything() {
  std::signal(SIGTERM, SIG_IGN);
  const pid_t child = ::fork();
  if (child != 0) event("grandchild", std::to_string(child));
  for (;;) ::pause();
}

[[noreturn]] void send_garbage() {
  const std::string garbage(40, 'g');
  if (::send(channel().descriptor(), garbage.data(), garbage.size(), 0) < 0) std::_Exit(25);
  for (;;) ::pause();
}

void ask(const json::Object& config) {
  if (config->has("action")) {
    const auto count = json::integer_or(config, "times", 1);
    for (std::int64_t id = 1; id <= count; ++id) {
      auto message = typed("action_run");
      message->set("id", std::to_string(id));
      message->set("name", json::text_or(config, "action"));
      send(message);
    }
  }
  if (config->has("reach_ms")) {
    auto message = typed("cloud_reach");
    message->set("id", "5");
    message->set("timeout_ms", static_cast<Poco::Int64>(json::integer_or(config, "reach_ms", 0)));
    send(message);
  }
}

// Echoes what the core sends as events, so that a test sees it, and stops when asked.
[[noreturn]] void serve(bool echo) {
  for (;;) {
    const auto message = next();
    const std::string type = json::text_or(message, "type");
    if (type == "stop") std::_Exit(0);
    if (type == "grant")
      subconnection(json::text_or(*json::object_member(message, "grant"), "service"), "ready", 10, 3);
    if (echo) event(type, json::to_text(message));
  }
}

void before_ready(const std::string& behave) {
  if (behave == "crash") {
    std::signal(SIGSEGV, SIG_DFL);  // a sanitizer would catch it
    ::raise(SIGSEGV);
  } else if (behave == "exit_3") {
    std::_Exit(3);
  } else if (behave == "refuse_config") {
    refuse("config_refused", "interval must be at least 1 s");
  } else if (behave == "refuse_abi") {
    refuse("abi_refused", "the library exports no hawser_plugin_v1");
  } else if (behave == "gives_up") {
    refuse("exited", "cannot open the library");
  } else if (behave == "garbage") {
    send_garbage();
  } else if (behave == "closes_channel") {
    ::close(control::kChannelDescriptor);
    for (;;) ::pause();
  } else if (behave == "never_ready") {
    for (;;) ::pause();
  } else if (behave == "degraded") {
    health("degraded", "no such folder yet");
  }
}

}  // namespace

int main() {
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  const auto setup = next();
  if (json::text_or(setup, "type") != "setup") return 26;
  const auto config = json::object_member(setup, "config").value();
  const std::string behave = json::text_or(config, "behave", "good");
  before_ready(behave);
  send(typed("ready"));
  if (behave == "crash_when_ready") ::raise(SIGABRT);
  if (behave == "faulted") health("faulted", "the modem is gone");
  if (behave == "ignores_stop") ignore_everything();
  if (behave == "show_process") show_process();
  if (behave == "show_setup") event("setup", json::to_text(setup));
  if (behave.rfind("flood_", 0) == 0) flood(behave);
  ask(config);
  serve(json::bool_or(config, "echo", false));
}
