// A host for the supervisor's tests: speaks the control channel, and behaves as its setup's config.behave says.
#include <dirent.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>

#include "core/control/channel.hpp"
#include "core/control/flight_page.hpp"

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
  drops->set("spool_full", dropped);
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

[[noreturn]] void flicker() {
  for (;;) {
    health("degraded", "this way");
    health("ready", "and that way");
  }
}

[[noreturn]] void leak() {
  constexpr std::size_t kPiece = 1024 * 1024;
  for (;;) {
    auto* piece = static_cast<volatile char*>(std::malloc(kPiece));
    for (std::size_t i = 0; piece && i < kPiece; i += 1024) piece[i] = 'x';
  }
}

// Forks until the system says no, and tells how often that went well.
[[noreturn]] void fork_without_end() {
  constexpr int kMost = 200;  // should nobody say no
  int children = 0;
  for (; children < kMost; ++children) {
    const pid_t child = ::fork();
    if (child < 0) break;
    if (child == 0) {
      for (;;) ::pause();
    }
  }
  event("forked", std::to_string(children));
  for (;;) ::pause();
}

[[noreturn]] void ignore_everything() {
  std::signal(SIGTERM, SIG_IGN);
  const pid_t child = ::fork();
  if (child != 0) event("grandchild", std::to_string(child));
  for (;;) ::pause();
}

// A callback that is open for too long, as a real host tells it.
void overrun(control::FlightWriter& page, const char* name) {
  page.note(7, name, Clock::now() - std::chrono::milliseconds(250));
  auto message = typed("overrun");
  message->set("callback", "whatever the plugin likes");
  message->set("for_ms", 250);
  send(message);
}

[[noreturn]] void be_stuck(const char* callback) {
  auto page = control::FlightWriter::take(control::kFlightDescriptor);
  overrun(page, callback);
  for (;;) ::pause();
}

void be_slow() {
  auto page = control::FlightWriter::take(control::kFlightDescriptor);
  overrun(page, "timer");
  ::usleep(50'000);
  page.note(0, "", {});
  auto message = typed("overrun_over");
  message->set("callback", "timer");
  message->set("for_ms", 300);
  send(message);
  event("slow", "is over");
}

// One raw packet, with descriptors where there are any.
void send_raw(std::string packet, std::size_t descriptors = 0) {
  alignas(cmsghdr) char extra[CMSG_SPACE(2 * sizeof(int))] = {};
  iovec part{packet.data(), packet.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (descriptors > 0) {
    message.msg_control = extra;
    message.msg_controllen = sizeof extra;
    cmsghdr* const head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(2 * sizeof(int));
    const int passed[2] = {0, 1};
    std::memcpy(CMSG_DATA(head), passed, sizeof passed);
  }
  if (::sendmsg(control::kChannelDescriptor, &message, 0) < 0) std::_Exit(27);
}

// B60: what a plugin that has got hold of the channel may write there.
void write_badly(const std::string& how) {
  const std::string text = R"({"type":"pong"})";
  const auto header = [](std::uint32_t magic, std::uint32_t length) {
    std::string bytes;
    for (const std::uint32_t number : {magic, length, 2u, 0u}) {
      for (int shift = 0; shift < 32; shift += 8) bytes += static_cast<char>((number >> shift) & 0xff);
    }
    return bytes;
  };
  const auto size = static_cast<std::uint32_t>(text.size());
  if (how == "bad_magic") send_raw(header(0x31313131, size) + text);
  if (how == "bad_length_0") send_raw(header(control::kChannelMagic, 0) + text);
  if (how == "bad_length_4g") send_raw(header(control::kChannelMagic, 0xffffffff) + text);
  if (how == "bad_truncated") send_raw(header(control::kChannelMagic, size).substr(0, 7));
  if (how == "bad_descriptors") send_raw(header(control::kChannelMagic, size) + text, 2);
  for (;;) ::pause();
}

void tell_lies() {
  subconnection("quiet", "ready", 1'000'000, 1'000'000);
  auto wants = typed("want_grants");
  wants->set("service", "quiet");
  send(wants);
  auto foreign = typed("event");
  foreign->set("kind", "dropped");
  foreign->set("service", "quiet");
  foreign->set("reason", "queue_full");
  send(foreign);
  auto own_word = typed("event");
  own_word->set("kind", "quarantine");  // the core's own word
  own_word->set("detail", "acme.quiet is in quarantine");
  send(own_word);
  send(typed("no_such_type"));
  event("lies", "are told");
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
  if (config->has("metrics")) {
    auto message = typed("metrics");
    message->set("metrics", config->getArray("metrics"));
    send(message);
  }
  if (config->has("reach_ms")) {
    auto message = typed("cloud_reach");
    message->set("id", "5");
    message->set("timeout_ms", static_cast<Poco::Int64>(json::integer_or(config, "reach_ms", 0)));
    send(message);
  }
}

// Echoes what the core sends as events, so that a test sees it, and stops when asked.
// Answers as its present configuration's on_configure says: ok, restart_needed, refused, or silence.
void answer_configure(const json::Object& message, json::Object& config) {
  const bool apply = json::text_or(message, "mode") == "apply";
  const std::string answer = json::text_or(config, "on_configure", "ok");
  if (answer == "silence") return;
  if (apply && json::bool_or(config, "forgets_to_answer_once", false)) {
    config = *json::object_member(message, "config");  // it has taken it; the word is on its way
    return;
  }
  auto reply = typed("configured");
  reply->set("id", json::text_or(message, "id"));
  reply->set("status", answer);
  reply->set("why", answer == "refused" ? "interval is too short" : "");
  send(reply);
  if (answer == "ok" && json::text_or(message, "mode") == "apply") config = *json::object_member(message, "config");
}

[[noreturn]] void serve(bool echo, json::Object config) {
  for (;;) {
    const auto message = next();
    const std::string type = json::text_or(message, "type");
    if (type == "stop") std::_Exit(0);
    if (type == "ping") send(typed("pong"));
    if (type == "configure") answer_configure(message, config);
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
  } else if (behave == "stuck_in_start") {
    be_stuck("start");
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
  if (behave == "no_memory") refuse("out_of_memory", "an allocation failed in timer()");
  if (behave == "flickers") flicker();
  if (behave == "leaks") leak();
  if (behave == "forks") fork_without_end();
  if (behave == "ignores_stop") ignore_everything();
  if (behave == "show_process") show_process();
  if (behave == "show_setup") event("setup", json::to_text(setup));
  if (behave.rfind("flood_", 0) == 0) flood(behave);
  if (behave.rfind("bad_", 0) == 0) write_badly(behave);
  if (behave == "lies") tell_lies();
  if (behave == "stuck") be_stuck("timer");
  if (behave == "slow") be_slow();
  if (behave == "never_reads" || behave == "silent") {
    for (;;) ::pause();
  }
  ask(config);
  serve(json::bool_or(config, "echo", false), config);
}
