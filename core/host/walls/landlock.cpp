#include <fcntl.h>
#include <linux/landlock.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/base/files.hpp"
#include "core/host/walls/walls.hpp"

// Which files the host reaches: Landlock (landlock(7), Linux 5.13), by what the running kernel knows of it.
namespace hawser::host {
namespace {

// What the kernel's header of our oldest system lacks; the numbers are part of the kernel's interface.
constexpr std::uint64_t kTruncate = 1ULL << 14;                                        // ABI 3
constexpr std::uint64_t kIoctlDevice = 1ULL << 15;                                     // ABI 5
constexpr std::uint64_t kScopeAbstractSockets = 1ULL << 0, kScopeSignals = 1ULL << 1;  // ABI 6
struct RulesetAttributes {
  std::uint64_t handled_files, handled_network, scoped;
};
constexpr std::size_t kSizeBeforeNetwork = 8, kSizeBeforeScopes = 16;

constexpr int kAbiOfRefer = 2, kAbiOfTruncate = 3, kAbiOfNetwork = 4, kAbiOfIoctl = 5, kAbiOfScopes = 6;

constexpr std::uint64_t kRead = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kExecute = LANDLOCK_ACCESS_FS_EXECUTE;
constexpr std::uint64_t kWrite = LANDLOCK_ACCESS_FS_WRITE_FILE | kTruncate | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                                 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
                                 LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK |
                                 LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER;
constexpr std::uint64_t kDevices = LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK | kIoctlDevice;
// All that a rule on something else than a folder may name.
constexpr std::uint64_t kOfFiles = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE |
                                   LANDLOCK_ACCESS_FS_EXECUTE | kTruncate | kIoctlDevice;

// What every host may read, and run with the permission to: the system's libraries and programs.
constexpr const char* kPrograms[] = {"/usr", "/lib", "/lib32", "/lib64", "/libx32", "/bin", "/sbin"};
// What libc, the resolver and TLS look at. No /etc as a whole: it holds shadow and other programs' secrets.
constexpr const char* kReadable[] = {"/etc/ld.so.cache",
                                     "/etc/ssl",
                                     "/etc/ca-certificates",
                                     "/usr/share/ca-certificates",
                                     "/etc/resolv.conf",
                                     "/etc/hosts",
                                     "/etc/nsswitch.conf",
                                     "/etc/localtime",
                                     "/etc/host.conf",
                                     "/etc/gai.conf",
                                     "/etc/services",
                                     "/etc/protocols",
                                     "/etc/netns",
                                     "/run/netns",
                                     "/run/systemd/resolve",
                                     "/proc",
                                     "/sys",
                                     "/dev/zero",
                                     "/dev/urandom",
                                     "/dev/random"};

std::uint64_t handled_by(int abi) {
  std::uint64_t handled = kRead | kExecute | kWrite | kDevices;
  if (abi < kAbiOfRefer) handled &= ~std::uint64_t{LANDLOCK_ACCESS_FS_REFER};
  if (abi < kAbiOfTruncate) handled &= ~kTruncate;
  if (abi < kAbiOfIoctl) handled &= ~kIoctlDevice;
  return handled;
}

class Ruleset {
 public:
  explicit Ruleset(int abi) : handled_(handled_by(abi)) {
    RulesetAttributes attributes{handled_, 0, abi < kAbiOfScopes ? 0 : kScopeAbstractSockets | kScopeSignals};
    const std::size_t size = abi < kAbiOfNetwork  ? kSizeBeforeNetwork
                             : abi < kAbiOfScopes ? kSizeBeforeScopes
                                                  : sizeof attributes;
    descriptor_.reset(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &attributes, size, 0)));
  }
  int descriptor() const { return descriptor_.get(); }

  // errno, or 0.
  int allow(int file, std::uint64_t access) {
    struct stat about {};
    if (::fstat(file, &about) != 0) return errno;
    landlock_path_beneath_attr rule{};
    rule.allowed_access = access & handled_ & (S_ISDIR(about.st_mode) ? ~std::uint64_t{0} : kOfFiles);
    rule.parent_fd = file;
    const long status = ::syscall(SYS_landlock_add_rule, descriptor_.get(), LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    return status == 0 ? 0 : errno;
  }
  int allow(const char* path, std::uint64_t access) {
    const Descriptor file(::open(path, O_PATH | O_CLOEXEC));
    return file ? allow(file.get(), access) : errno;
  }
  // For a path that hawserd found free of symbolic links: one that has come since is not followed.
  int allow_real(const char* path, std::uint64_t access) {
    open_how how{};
    how.flags = O_PATH | O_CLOEXEC;
    how.resolve = RESOLVE_NO_SYMLINKS;
    const Descriptor file(static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how)));
    return file ? allow(file.get(), access) : errno;
  }

 private:
  const std::uint64_t handled_;
  Descriptor descriptor_;
};

void allow_all(Ruleset& rules, const control::Confinement& confinement, const OwnFiles& own,
               std::vector<std::string>& missing) {
  const std::uint64_t run = kRead | (confinement.may_execute ? kExecute : 0);
  for (const char* path : kPrograms) rules.allow(path, run);  // where there is one
  for (const char* path : kReadable) rules.allow(path, kRead);
  rules.allow("/dev/null", kRead | kWrite);
  if (own.library >= 0) rules.allow(own.library, kRead);  // also where it was replaced on the disk by now
  const auto named = [&](const std::string& path, int error) {
    if (error != 0) missing.push_back("files: no rule for " + path + ": " + std::strerror(error));
  };
  // Below a folder that the plugin's user cannot enter, a clone in /root for example, there is nothing to allow.
  if (const int error = rules.allow(own.plugin_dir.c_str(), run); error != EACCES) named(own.plugin_dir, error);
  named(own.state_dir, rules.allow(own.state_dir.c_str(), kRead | kWrite));
  for (const auto& rule : confinement.paths)
    named(rule.path, rules.allow_real(rule.path.c_str(), kRead | (rule.write ? kWrite : 0)));
}

}  // namespace

Landlock close_files(const control::Confinement& confinement, const OwnFiles& own, std::vector<std::string>& missing) {
  const auto abi =
      static_cast<int>(::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION));
  if (abi < 1) {
    missing.push_back(std::string("files: this kernel has no Landlock, or it is off: ") + std::strerror(errno));
    return {};
  }
  Ruleset rules(abi);
  if (rules.descriptor() >= 0) {
    allow_all(rules, confinement, own, missing);
    if (::syscall(SYS_landlock_restrict_self, rules.descriptor(), 0) == 0) return {abi, abi >= kAbiOfScopes};
  }
  missing.push_back(std::string("files: Landlock: ") + std::strerror(errno));
  return {};
}

}  // namespace hawser::host
