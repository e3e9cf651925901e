// Reaches for what is not its own. Each attempt is told as "tried ...: denied (EPERM)" or "tried ...: done".
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>

#include "rogue.hpp"

namespace rogue {
namespace {

int error_of(bool worked) { return worked ? 0 : errno; }

constexpr int kFlightDescriptor = 4;

// The one shared mapping of this process that can be written.
unsigned char* shared_page() {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find(" rw-s ") == line.npos || line.find("/memfd:") == line.npos) continue;
    return reinterpret_cast<unsigned char*>(std::stoull(line, nullptr, 16));
  }
  return nullptr;
}

// Whoever kills all it can must be where nothing but the test lives.
bool in_the_tests_namespace(const Rogue& self) {
  char name[64] = {};
  const bool known = ::readlink("/proc/self/ns/pid", name, sizeof name - 1) > 0;
  if (known && self.config.value("pid_namespace", "") == name) return true;
  self.say(std::string("does nothing: this is no process namespace of the test's own but ") + name);
  return false;
}

}  // namespace

void close_all(Rogue&) {
  for (int fd = 0; fd < 4096; ++fd) ::close(fd);
}

void kill_parent(Rogue& self) {
  if (!in_the_tests_namespace(self)) return;
  const pid_t parent = ::getppid();
  for (const int number : {SIGSTOP, SIGTERM, SIGKILL})
    self.tried(std::string("SIG") + ::sigabbrev_np(number) + " to the core", error_of(::kill(parent, number) == 0));
}

void kill_group(Rogue& self) {
  if (!in_the_tests_namespace(self)) return;
  const pid_t group = ::getpgid(::getppid());
  if (group <= 1) return self.tried("to name the core's process group", group < 0 ? errno : EPERM);
  self.tried("SIGKILL to the core's process group", error_of(::kill(-group, SIGKILL) == 0));
}

void kill_all(Rogue& self) {
  if (!in_the_tests_namespace(self)) return;
  self.tried("SIGKILL to every process", error_of(::kill(-1, SIGKILL) == 0));
}

// Writes over the flight page without end. Its descriptor is closed by the host; the mapping is there to be found.
void flight_page(Rogue& self) {
  self.tried("to cut the flight page", error_of(::ftruncate(kFlightDescriptor, 0) == 0));
  unsigned char* const page = shared_page();
  self.tried("to write over the flight page", page ? 0 : ENOENT);
  if (!page) return;
  std::thread([page] {
    for (unsigned turn = 0;; ++turn) {
      std::memset(page, static_cast<int>(turn % 256), 4096);
      if (turn % 64 == 0) ::usleep(100);
    }
  }).detach();
}

void raise_limits(Rogue& self) {
  const struct {
    __rlimit_resource which;
    const char* name;
  } limits[] = {{RLIMIT_AS, "RLIMIT_AS"}, {RLIMIT_NOFILE, "RLIMIT_NOFILE"}, {RLIMIT_FSIZE, "RLIMIT_FSIZE"},
                {RLIMIT_NPROC, "RLIMIT_NPROC"}};
  for (const auto& each : limits) {
    rlimit now{};
    ::getrlimit(each.which, &now);
    if (now.rlim_max == RLIM_INFINITY) continue;  // nothing to raise: another wall holds, or none, which others tell
    const rlimit more = {now.rlim_max + 1, now.rlim_max + 1};
    self.tried(std::string("to raise ") + each.name, error_of(::setrlimit(each.which, &more) == 0));
  }
  self.tried("to be root", error_of(::setuid(0) == 0 && ::geteuid() == 0));
  self.tried("to be preferred", error_of(::setpriority(PRIO_PROCESS, 0, -10) == 0));
  const sched_param urgent = {1};
  self.tried("to run in real time", error_of(::sched_setscheduler(0, SCHED_FIFO, &urgent) == 0));
}

// [config] paths: none of them is its own.
void read_secrets(Rogue& self) {
  for (const auto& each : self.config.value("paths", nlohmann::json::array())) {
    const std::string path = each.get<std::string>();
    if (DIR* const folder = ::opendir(path.c_str())) {
      self.tried("to list " + path, 0);
      ::closedir(folder);
      continue;
    }
    const int seen = errno;
    const int file = seen == ENOTDIR ? ::open(path.c_str(), O_RDONLY) : -1;
    self.tried("to read " + path, seen == ENOTDIR ? error_of(file >= 0) : seen);
    const int written = seen == ENOTDIR ? ::open(path.c_str(), O_WRONLY) : -1;
    self.tried("to write " + path, seen == ENOTDIR ? error_of(written >= 0) : seen);
  }
}

void run_programs(Rogue& self) {
  char name[] = "/bin/true";
  char* const arguments[] = {name, nullptr};
  pid_t child = -1;
  const int error = ::posix_spawn(&child, name, nullptr, nullptr, arguments, nullptr);
  if (error == 0) ::waitpid(child, nullptr, 0);
  self.tried("to run /bin/true", error);
  self.tried("to become /bin/false", error_of(::execl("/bin/false", "false", nullptr) == 0));
}

// The core and every other process that is to be seen: trace it, read its memory and environment.
void trace_others(Rogue& self) {
  const pid_t core = ::getppid();
  self.tried("to trace the core", error_of(::ptrace(PTRACE_ATTACH, core, nullptr, nullptr) == 0));
  char byte = 0;
  const iovec mine = {&byte, 1}, its = {reinterpret_cast<void*>(0x400000), 1};
  self.tried("to read the core's memory", error_of(::process_vm_readv(core, &mine, 1, &its, 1, 0) == 1));
  for (const char* part : {"mem", "environ", "maps", "fd/3"}) {
    const std::string path = "/proc/" + std::to_string(core) + "/" + part;
    char some[16];
    const int file = ::open(path.c_str(), O_RDONLY);
    const bool read = file >= 0 && (part[0] == 'm' || part[0] == 'f' || ::read(file, some, sizeof some) >= 0);
    self.tried("to open the core's " + std::string(part), error_of(read));
    if (file >= 0) ::close(file);
  }
}

// [config] socket: the control socket of the agent, which obeys root and its group alone.
void take_the_core(Rogue& self) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, self.config.value("socket", "").c_str(), sizeof address.sun_path - 1);
  constexpr std::string_view kCommand = "{\"command\":\"reset\",\"args\":{}}\n";
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0 || ::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return self.tried("to command the core", errno);
  char answer[1024] = {};
  const bool told = ::send(fd, kCommand.data(), kCommand.size(), MSG_NOSIGNAL) > 0 &&
                    ::recv(fd, answer, sizeof answer - 1, 0) > 0;
  ::close(fd);
  const bool obeyed = told && std::strstr(answer, "not_permitted") == nullptr;
  self.tried("to command the core", obeyed ? 0 : EPERM);
}

}  // namespace rogue
