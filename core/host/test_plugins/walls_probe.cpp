// A plugin that tries what its host's walls forbid, and tells how each attempt ended; built against the SDK's header alone.
// Its configuration is {"try":"uid;read /etc/shadow;..."}; each attempt is one line "<attempt>: <errno, or what it saw>".
#include <dirent.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "hawser/plugin.h"

namespace {

const hws_host* host = nullptr;
hws_ctx* context = nullptr;

using Words = std::vector<std::string>;  // of one attempt

void say(const std::string& words) { host->log(context, HWS_LOG_INFO, {words.data(), words.size()}, nullptr, 0); }

std::string answer(long status) { return std::to_string(status < 0 ? errno : 0); }

std::string attempt_open(const std::string& path, int flags) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0600);
  const std::string words = answer(fd);
  if (fd >= 0) ::close(fd);
  return words;
}

// What was already so when the loader ran the first instruction of this file.
const std::string at_load = std::to_string(::geteuid()) + " " + attempt_open("/etc/shadow", O_RDONLY);

std::string show_user(const Words&) {
  return std::to_string(::getuid()) + " " + std::to_string(::getgid()) + " " + std::to_string(::getgroups(0, nullptr));
}

std::string show_capabilities(const Words&) {
  std::ifstream status("/proc/self/status");
  std::string all, line;
  while (std::getline(status, line)) {
    if (line.starts_with("Cap"))
      all += (all.empty() ? "" : " ") + line.substr(0, 6) + "=" + line.substr(line.find('\t') + 1);
  }
  return all;
}

std::string show_descriptors(const Words&) {
  std::string all;
  DIR* const folder = ::opendir("/proc/self/fd");
  while (const dirent* entry = folder ? ::readdir(folder) : nullptr) {
    char target[512];
    const auto size = ::readlinkat(::dirfd(folder), entry->d_name, target, sizeof target);
    if (size > 0 && std::stoi(entry->d_name) != ::dirfd(folder))
      all += std::string(target, static_cast<std::size_t>(size)) + "|";
  }
  if (folder) ::closedir(folder);
  return all;
}

std::string show_limits(const Words&) {
  std::string all;
  for (const auto resource : {RLIMIT_AS, RLIMIT_FSIZE, RLIMIT_NOFILE, RLIMIT_NPROC}) {
    rlimit limit{};
    ::getrlimit(resource, &limit);
    all += (all.empty() ? "" : " ") + std::to_string(limit.rlim_cur) + "/" + std::to_string(limit.rlim_max);
  }
  return all;
}

std::string attempt_list(const Words& words) {
  DIR* const folder = ::opendir(words[1].c_str());
  const std::string how = answer(folder ? 0 : -1);
  if (folder) ::closedir(folder);
  return how;
}

std::string attempt_exec(const Words& words) {
  std::string path = words[1];
  char* const arguments[] = {path.data(), nullptr};
  pid_t child = -1;
  if (const int error = ::posix_spawn(&child, path.c_str(), nullptr, nullptr, arguments, arguments + 1); error != 0)
    return std::to_string(error);
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? "exit " + std::to_string(WEXITSTATUS(status))
                           : "signal " + std::to_string(WTERMSIG(status));
}

std::string attempt_listen(const Words&) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const std::string listening = answer(::listen(fd, 1));  // on a port of the system's choice
  const std::string accepting = answer(::accept4(fd, nullptr, nullptr, SOCK_CLOEXEC));
  ::close(fd);
  return listening + " " + accepting;
}

// "socket <family> <type> <protocol>"
std::string attempt_socket(const Words& words) {
  const int fd = ::socket(std::stoi(words[1]), std::stoi(words[2]) | SOCK_CLOEXEC, std::stoi(words[3]));
  const std::string how = answer(fd);
  if (fd >= 0) ::close(fd);
  return how;
}

std::string attempt_fork(const Words&) {
  const long child = ::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr);
  if (child == 0) ::_exit(0);
  return answer(child);
}

std::string attempt_threads(const Words&) {
  std::atomic<int> ran = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) threads.emplace_back([&] { ++ran; });
  for (auto& thread : threads) thread.join();
  return std::to_string(ran);
}

std::atomic<int> signals = 0;
std::string attempt_own_signals(const Words&) {
  struct sigaction action {};
  action.sa_handler = [](int) { ++signals; };
  ::sigaction(SIGUSR1, &action, nullptr);
  ::raise(SIGUSR1);
  ::kill(::getpid(), SIGUSR1);
  for (int i = 0; i < 1000 && signals < 2; ++i) ::poll(nullptr, 0, 1);  // the second may reach another thread
  return std::to_string(signals);
}

std::string attempt_reading_the_parent(const Words&) {
  char byte = 0;
  iovec here{&byte, 1}, there{&signals, 1};
  return answer(::process_vm_readv(::getppid(), &here, 1, &there, 1, 0));
}

// "abstract <name>": a connection to a socket of the abstract name space, which no file guards
std::string attempt_abstract(const Words& words) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  words[1].copy(address.sun_path + 1, sizeof address.sun_path - 1);
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + words[1].size());
  const std::string how = answer(::connect(fd, reinterpret_cast<sockaddr*>(&address), size));
  ::close(fd);
  return how;
}

// "call <number> <arguments>": a system call that libc has no function for, or that must not get as far as a check of its
// arguments.
std::string attempt_call(const Words& words) {
  long arguments[6] = {};
  for (std::size_t i = 2; i < words.size() && i < 8; ++i) arguments[i - 2] = std::stol(words[i]);
  return answer(::syscall(std::stol(words[1]), arguments[0], arguments[1], arguments[2], arguments[3], arguments[4],
                          arguments[5]));
}

using Attempt = std::string (*)(const Words&);
const std::map<std::string, Attempt> kAttempts = {
    {"at_load", [](const Words&) { return at_load; }},
    {"uid", show_user},
    {"capabilities", show_capabilities},
    {"descriptors", show_descriptors},
    {"limits", show_limits},
    {"read", [](const Words& words) { return attempt_open(words[1], O_RDONLY); }},
    {"write", [](const Words& words) { return attempt_open(words[1], O_WRONLY | O_CREAT); }},
    {"truncate", [](const Words& words) { return answer(::truncate(words[1].c_str(), 0)); }},
    {"list", attempt_list},
    {"rename", [](const Words& words) { return answer(::rename(words[1].c_str(), words[2].c_str())); }},
    {"remove", [](const Words& words) { return answer(::unlink(words[1].c_str())); }},
    {"exec", attempt_exec},
    {"listen", attempt_listen},
    {"socket", attempt_socket},
    {"fork", attempt_fork},
    {"threads", attempt_threads},
    {"own_signals", attempt_own_signals},
    {"signal_parent", [](const Words&) { return answer(::kill(::getppid(), 0)); }},
    {"signal_group", [](const Words&) { return answer(::kill(0, 0)); }},
    {"trace_parent", [](const Words&) { return answer(::ptrace(PTRACE_SEIZE, ::getppid(), nullptr, nullptr)); }},
    {"read_parent", attempt_reading_the_parent},
    {"leave_group", [](const Words&) { return answer(::setpgid(0, ::getpgid(::getppid()))); }},
    {"unshare", [](const Words&) { return answer(::unshare(CLONE_NEWUSER)); }},
    {"mount", [](const Words&) { return answer(::mount("none", "/mnt", "tmpfs", 0, nullptr)); }},
    {"abstract", attempt_abstract},
    {"call", attempt_call},
};

Words split(const std::string& text, char separator) {
  Words words;
  std::istringstream stream(text);
  for (std::string word; std::getline(stream, word, separator);) words.push_back(word);
  return words;
}

hws_status create(hws_ctx* of, void** self) {
  context = of;
  *self = &context;
  return HWS_OK;
}

hws_status configure(void*, int32_t mode, hws_str config, const hws_sink*) {
  if (mode != HWS_CONFIG_CHECK) return HWS_OK;
  const std::string text(config.ptr, config.len), begin = R"("try":")";
  const auto from = text.find(begin);
  if (from == std::string::npos) return HWS_OK;
  const auto first = from + begin.size();
  for (const auto& attempt : split(text.substr(first, text.find('"', first) - first), ';')) {
    const Words words = split(attempt, ' ');
    say(attempt + ": " + kAttempts.at(words[0])(words));
  }
  return HWS_OK;
}

hws_status start(void*) { return HWS_OK; }
void stop(void*, uint32_t) { host->health(context, HWS_STOPPED, {"done", 4}); }
void destroy(void*) {}
const void* extension(void*, const char*) { return nullptr; }

constexpr hws_plugin kTable = {sizeof(hws_plugin), HWS_ABI_MINOR, 0,    "acme.probe", "1.2.3",  create,
                               configure,          start,         stop, destroy,      extension};

}  // namespace

extern "C" const hws_plugin* hawser_plugin_v1(const hws_host* from) {
  host = from;
  return &kTable;
}
