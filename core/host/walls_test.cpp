#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <fstream>
#include <sstream>

#include "core/control/confinement.hpp"
#include "core/host/host_process.hpp"

using namespace hawser;
using namespace hawser::host::testing;
namespace fs = std::filesystem;

// The walls of a real host, from inside: the plugin walls_probe tries what is forbidden. As root only, since only root has
// something to give up; what another user's host can still do is the last test here.
namespace {

constexpr uid_t kUser = 1'879'049'000;  // of the range that hawserd takes
const std::string kPlugin = std::string(HAWSER_TEST_PLUGINS) + "/walls_probe.so";

std::string code(int error) { return std::to_string(error); }

bool is_root() {
  if (::geteuid() == 0) return true;
  WARN("skipped: it takes root");
  return false;
}

// Below /tmp, whatever TMPDIR says: the host's own user has to reach it.
class Folder {
 public:
  Folder() {
    char name[] = "/tmp/hawser-walls-XXXXXX";
    path_ = ::mkdtemp(name);
    ::chmod(name, 0711);
    make("state", kUser);
  }
  ~Folder() { fs::remove_all(path_); }
  std::string operator/(const std::string& name) const { return path_ / name; }
  std::string make(const std::string& name, uid_t owner) const {
    fs::create_directory(path_ / name);
    ::chmod((path_ / name).c_str(), 0700);
    (void)!::chown((path_ / name).c_str(), owner, owner);
    return path_ / name;
  }
  std::string file(const std::string& name) const {
    std::ofstream(path_ / name) << "content\n";
    ::chmod((path_ / name).c_str(), 0600);
    return path_ / name;
  }

 private:
  fs::path path_;
};

control::Confinement own_user() {
  control::Confinement confinement;
  confinement.uid = kUser;
  confinement.gid = kUser;
  return confinement;
}

// A host behind its walls, whose plugin tries what `attempts` says.
class Confined {
 public:
  Confined(const Folder& folder, const control::Confinement& confinement, const std::string& attempts,
           const std::vector<std::string>& before = {})
      : library_(::open(kPlugin.c_str(), O_RDONLY | O_CLOEXEC)),
        host_(HostStart{kPlugin, R"({"try":")" + attempts + R"("})",
                        R"("confinement":)" + json::to_text(control::to_json(confinement)), before, library_.get(),
                        folder / "state"}) {
    const auto isolation = control::read_isolation(*json::object_member(host_.wait_for_type("confined"), "isolation"));
    REQUIRE(isolation);
    isolation_ = *isolation;
    host_.wait_for_type("ready");
  }
  // How the attempt ended, in the probe's words.
  std::string of(const std::string& attempt) {
    host_.wait_for_log(attempt + ": ");
    for (const auto& message : host_.heard) {
      const std::string line = json::text_or(message, "message");
      if (line.starts_with(attempt + ": ")) return line.substr(attempt.size() + 2);
    }
    return "no answer";
  }
  const control::Isolation& isolation() const { return isolation_; }
  HostProcess& host() { return host_; }

 private:
  Descriptor library_;
  HostProcess host_;
  control::Isolation isolation_;
};

std::string joined(const std::vector<std::string>& words) {
  std::string all;
  for (const auto& word : words) all += (all.empty() ? "" : ";") + word;
  return all;
}

void expect(const Folder& folder, const control::Confinement& confinement,
            const std::vector<std::pair<std::string, std::string>>& expected) {
  std::vector<std::string> attempts;
  for (const auto& [attempt, answer] : expected) attempts.push_back(attempt);
  Confined confined(folder, confinement, joined(attempts));
  for (const auto& [attempt, answer] : expected) {
    INFO(attempt);
    CHECK(confined.of(attempt) == answer);
  }
}

bool has_landlock() { return ::syscall(SYS_landlock_create_ruleset, nullptr, 0, 1) >= 1; }

}  // namespace

TEST_CASE("[iso-7] before its plugin's first instruction a host is a user of its own, without groups or capabilities") {
  if (!is_root()) return;
  const Folder folder;
  Confined confined(folder, own_user(), "at_load;uid;capabilities;descriptors");
  const std::string user = std::to_string(kUser), none(16, '0');
  CHECK(confined.of("at_load") == user + " " + code(EACCES));
  CHECK(confined.of("uid") == user + " " + user + " 0");
  CHECK(confined.of("capabilities") ==
        "CapInh=" + none + " CapPrm=" + none + " CapEff=" + none + " CapBnd=" + none + " CapAmb=" + none);
  CHECK(confined.isolation().missing.empty());
  CHECK(confined.isolation().level() == (has_landlock() ? "rlimits" : "reduced"));
  // Its channel, its own timers and eventfds, and the three that every program has.
  std::istringstream descriptors(confined.of("descriptors"));
  int number = 0;
  for (std::string target; std::getline(descriptors, target, '|'); ++number) {
    INFO(target);
    CHECK((number < 3 || target.starts_with("socket:") || target == "anon_inode:[eventfd]" ||
           target == "anon_inode:[timerfd]"));
  }
}

TEST_CASE("[iso-7] a host keeps the capabilities that its permissions grant, and no others") {
  if (!is_root()) return;
  const Folder folder;
  auto confinement = own_user();
  confinement.capabilities = {"CAP_DAC_READ_SEARCH"};
  Confined confined(folder, confinement, "capabilities");
  const std::string none(16, '0'), granted = "0000000000000004";
  CHECK(confined.of("capabilities") ==
        "CapInh=" + none + " CapPrm=" + granted + " CapEff=" + granted + " CapBnd=" + none + " CapAmb=" + none);
}

TEST_CASE("[iso-7] a host has the limits that hawserd names, and a full file is an error to its writer") {
  if (!is_root()) return;
  const Folder folder;
  auto confinement = own_user();
  confinement.file_bytes = 1 << 20;
  confinement.descriptors = 99;
  confinement.threads = 17;
  Confined confined(folder, confinement, "limits");
  CHECK(confined.of("limits").ends_with(" 1048576/1048576 99/99 17/17"));
}

TEST_CASE("[iso-7] secrets, other plugins' folders and other processes' memory are out of a plugin's reach") {
  if (!is_root() || !has_landlock()) return;
  const Folder folder;
  const std::string other = folder.make("other", kUser + 1), secret = folder.file("other/secret");
  auto confinement = own_user();
  // Also where the permissions of the file system would let it: a capability for one folder opens no other one.
  confinement.capabilities = {"CAP_DAC_READ_SEARCH", "CAP_DAC_OVERRIDE"};
  expect(folder, confinement,
         {{"read /etc/shadow", code(EACCES)},
          {"read " + secret, code(EACCES)},
          {"list " + other, code(EACCES)},
          {"write " + folder / "new", code(EACCES)},
          {"truncate " + secret, code(EACCES)},
          {"remove " + secret, code(EACCES)},
          {"rename " + secret + " " + folder / "state/taken", code(EACCES)},
          {"read /proc/" + std::to_string(::getpid()) + "/environ", code(EACCES)},
          {"write /proc/self/mem", code(EACCES)},
          {"read_parent", code(EPERM)},
          {"write " + folder / "state/mine", "0"},
          {"rename " + folder / "state/mine" + " " + folder / "state/renamed", "0"},
          {"read /etc/hosts", fs::exists("/etc/hosts") ? "0" : std::to_string(ENOENT)},
          {"write /dev/null", "0"}});
}

TEST_CASE(
    "[iso-7] file.read and file.write open what they name: files that appear later, renames within, nothing beside") {
  if (!is_root() || !has_landlock()) return;
  const Folder folder;
  const std::string logs = folder.make("logs", 0), conf = folder.make("conf", 0), alone = folder.file("alone");
  folder.make("conf/old", 0);
  auto confinement = own_user();
  confinement.capabilities = {"CAP_DAC_READ_SEARCH", "CAP_DAC_OVERRIDE"};
  confinement.paths = {{logs, false}, {conf, true}, {alone, false}};
  const std::string old = folder.file("logs/old");
  // The probe makes the file itself, after the rules stand.
  expect(folder, confinement,
         {{"read " + old, "0"},
          {"list " + logs, "0"},
          {"write " + old, code(EACCES)},
          {"remove " + old, code(EACCES)},
          {"write " + conf + "/a.tmp", "0"},
          {"read " + conf + "/a.tmp", "0"},
          {"rename " + conf + "/a.tmp " + conf + "/a", "0"},
          {"rename " + conf + "/a " + conf + "/old/a", "0"},
          {"rename " + conf + "/old/a " + logs + "/a", code(EACCES)},
          {"remove " + conf + "/old/a", "0"},
          {"read " + alone, "0"},
          {"write " + alone, code(EACCES)}});
  CHECK(fs::is_empty(fs::path(conf) / "old"));
}

TEST_CASE("[iso-7] a rule whose path has become a symbolic link opens nothing, and is named as missing") {
  if (!is_root() || !has_landlock()) return;
  const Folder folder;
  const std::string target = folder.make("target", 0), secret = folder.file("target/secret");
  fs::create_symlink(target, folder / "link");
  auto confinement = own_user();
  confinement.capabilities = {"CAP_DAC_READ_SEARCH"};
  confinement.paths = {{folder / "link", false}};
  Confined confined(folder, confinement, "read " + folder / "link/secret");
  CHECK(confined.of("read " + folder / "link/secret") == code(EACCES));
  REQUIRE(confined.isolation().missing.size() == 1);
  CHECK(confined.isolation().missing[0] ==
        "files: no rule for " + folder / "link" + ": Too many levels of symbolic links");
}

TEST_CASE("[iso-7] system calls that reach out of the process are refused") {
  if (!is_root()) return;
  const Folder folder;
  const std::string refused = code(EPERM);
  const auto call = [](long number, const std::string& arguments = "") {
    return "call " + std::to_string(number) + arguments;
  };
  expect(folder, own_user(),
         {{"exec /bin/true", refused},
          {"fork", refused},
          {"listen", refused + " " + refused},
          {"signal_parent", refused},
          {"signal_group", refused},
          {"trace_parent", refused},
          {"leave_group", refused},
          {"unshare", refused},
          {"mount", refused},
          {"socket 17 3 0", refused},   // AF_PACKET
          {"socket 38 5 0", refused},   // AF_ALG
          {"socket 16 3 15", refused},  // udev's netlink
          {"socket 16 3 0", "0"},
          {"socket 2 1 0", "0"},
          {"socket 10 2 0", "0"},
          {call(SYS_setns, " -1 0"), refused},
          {call(SYS_bpf), refused},
          {call(SYS_perf_event_open), refused},
          {call(SYS_keyctl), refused},
          {call(SYS_userfaultfd), refused},
          {call(SYS_io_uring_setup), refused},
          {call(SYS_init_module), refused},
          {call(SYS_open_by_handle_at), refused},
          {call(SYS_prlimit64, " " + std::to_string(::getpid())), refused},
          {call(SYS_pidfd_open, " " + std::to_string(::getpid())), refused},
          {call(SYS_clone3), code(ENOSYS)},
          {call(500), code(ENOSYS)},  // which no kernel has yet
          {"threads", "4"},
          {"own_signals", "2"}});
}

TEST_CASE("[iso-7] the permissions exec and listen let a plugin do that, and no more") {
  if (!is_root()) return;
  const Folder folder;
  auto confinement = own_user();
  confinement.may_execute = true;
  confinement.may_listen = true;
  expect(folder, confinement,
         {{"exec /bin/true", "exit 0"},
          {"exec /bin/false", "exit 1"},
          {"fork", "0"},
          {"listen", "0 " + code(EAGAIN)},
          {"signal_parent", code(EPERM)},
          {"trace_parent", code(EPERM)},
          {"leave_group", code(EPERM)},
          {"unshare", code(EPERM)},
          {"own_signals", "2"}});
}

TEST_CASE("[iso-7] a socket of the abstract name space is out of reach where the kernel knows how (Landlock 6)") {
  if (!is_root()) return;
  if (::syscall(SYS_landlock_create_ruleset, nullptr, 0, 1) < 6) return;
  const std::string name = "hawser-walls-" + std::to_string(::getpid());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  name.copy(address.sun_path + 1, sizeof address.sun_path - 1);
  const Descriptor server(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  REQUIRE(::bind(server.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::listen(server.get(), 1) == 0);
  const Folder folder;
  expect(folder, own_user(), {{"abstract " + name, code(EPERM)}});
}

TEST_CASE("[iso-7] what is mapped is the file that was verified, whatever replaced it on the disk") {
  const Folder folder;
  const std::string library = folder / "plugin.so";
  fs::copy_file(kPlugin, library);
  const Descriptor verified(::open(library.c_str(), O_RDONLY | O_CLOEXEC));
  std::ofstream(folder / "other.so") << "this is no plugin, and it is long enough for the header of an object file\n";
  fs::rename(folder / "other.so", library);
  HostProcess host(HostStart{library, R"({"try":"uid"})", R"("x":0)", {}, verified.get(), folder / "state"});
  host.wait_for_type("ready");
  // And a file that the loader refuses is named by its path.
  const Descriptor text(::open(library.c_str(), O_RDONLY | O_CLOEXEC));
  HostProcess other(HostStart{library, "{}", R"("x":0)", {}, text.get(), folder / "state"});
  CHECK(json::text_or(other.wait_for_type("refused"), "detail") == library + ": invalid ELF header");
}

TEST_CASE("[iso-7] in a container that lacks the plugin's user the host says so, and puts up its other walls") {
  if (!is_root()) return;
  const Folder folder;
  (void)!::chown((folder / "state").c_str(), 0, 0);
  Confined confined(folder, own_user(), "uid;exec /bin/true;read /etc/shadow",
                    {"/usr/bin/unshare", "--user", "--map-root-user"});
  CHECK(confined.of("uid").starts_with("0 0 "));
  CHECK(confined.of("exec /bin/true") == code(EPERM));
  if (has_landlock()) CHECK(confined.of("read /etc/shadow") == code(EACCES));
  CHECK(confined.isolation().seccomp);
  CHECK_FALSE(confined.isolation().own_uid);
  CHECK(confined.isolation().level() == "reduced");
  REQUIRE(confined.isolation().missing.size() == 1);
  CHECK(confined.isolation().missing[0] ==
        "own uid: this container has no user " + std::to_string(kUser) + " (/proc/self/uid_map)");
}

TEST_CASE("[iso-7] a host that cannot enter its network namespace does not run in another one") {
  const Folder folder;
  auto confinement = control::Confinement{};
  confinement.network_namespace = "hawser-no-such";
  HostProcess host(HostStart{kPlugin, "{}", R"("confinement":)" + json::to_text(control::to_json(confinement))});
  const auto refused = host.wait_for_type("refused");
  CHECK(json::text_or(refused, "detail") ==
        "network namespace hawser-no-such: /run/netns/hawser-no-such cannot be opened: No such file or directory");
  CHECK(host.wait_for_exit() == 1);
}

TEST_CASE("[iso-7] losing hawserd ends also a host that has another user than hawserd") {
  if (!is_root()) return;
  const Folder folder;
  Confined confined(folder, own_user(), "uid");
  confined.host().drop_channel();
  CHECK(confined.host().wait_for_exit(1s) == 0);
}
