#include "core/supervisor/cgroup_tree.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <sstream>

#include "core/base/files.hpp"
#include "core/base/log.hpp"

namespace hawser::supervisor {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFileBytesMax = 256 * 1024;
constexpr const char* kControllers[] = {"memory", "pids", "cpu"};
constexpr const char* kRootChild = "hawser-";  // below the root of all, where several agents may stand
constexpr int kCpuPeriodUs = 100'000;  // the kernel's usual one

Error no_cgroups(const std::string& why) { return {"no_cgroup", "cgroup: " + why}; }

// One write(2), as the files of a cgroup want it.
Status write_to(const fs::path& file, const std::string& text) {
  const Descriptor fd(::open(file.c_str(), O_WRONLY | O_CLOEXEC));
  if (fd && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size())) return ok();
  return Error{"io_error", "cannot write \"" + text + "\" to " + file.string() + ": " + std::strerror(errno)};
}

std::optional<std::string> text_of(const fs::path& file) {
  const auto text = read_file(file, kFileBytesMax);
  return text ? std::optional(*text) : std::nullopt;
}

bool has_word(const std::string& text, const std::string& wanted) {
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (word == wanted) return true;
  }
  return false;
}

// Of "memory.events" and its like: lines of a name and a number.
std::int64_t number_after(const std::string& text, const std::string& name) {
  std::istringstream lines(text);
  std::string word;
  std::int64_t number = 0;
  while (lines >> word >> number) {
    if (word == name) return number;
  }
  return 0;
}

Status make_leaf(const fs::path& folder) {
  if (::mkdir(folder.c_str(), 0755) == 0 || errno == EEXIST) return ok();
  return Error{"io_error", "cannot make " + folder.string() + ": " + std::strerror(errno)};
}

// The root of the whole hierarchy has none of a cgroup's own files, and may hold processes beside its children.
bool is_root(const fs::path& folder) {
  std::error_code unknown;
  return !fs::exists(folder / "cgroup.events", unknown);
}

Status only_we_are_in(const fs::path& folder) {
  const auto processes = text_of(folder / "cgroup.procs");
  if (processes && *processes == std::to_string(::getpid()) + "\n") return ok();
  return no_cgroups(folder.string() +
                    " is not left to hawserd alone; limits are held by rlimits and by looking. Under systemd its unit "
                    "needs Delegate=yes");
}

// What agents have left that were ended by force. A folder with processes below it cannot be removed.
void remove_strays(const fs::path& root) {
  std::error_code problem;
  for (const auto& entry : fs::directory_iterator(root, problem)) {
    if (entry.path().filename().string().rfind(kRootChild, 0) != 0) continue;
    for (const auto& leaf : fs::directory_iterator(entry.path(), problem)) {
      if (leaf.is_directory(problem)) ::rmdir(leaf.path().c_str());
    }
    ::rmdir(entry.path().c_str());
  }
}

Status delegate(const fs::path& folder) {
  const auto there = text_of(folder / "cgroup.controllers");
  for (const char* controller : kControllers) {
    if (!there || !has_word(*there, controller))
      return no_cgroups(folder.string() + " has no controller " + controller);
  }
  for (const char* controller : kControllers) {
    const auto done = write_to(folder / "cgroup.subtree_control", std::string("+") + controller);
    if (!done) return no_cgroups(done.error().message);
  }
  return ok();
}

}  // namespace

Result<fs::path> own_cgroup(const std::string& cgroup_text, const std::string& mountinfo_text) {
  std::string own;
  std::istringstream cgroups(cgroup_text);
  for (std::string line; std::getline(cgroups, line);) {
    if (line.rfind("0::/", 0) == 0) own = line.substr(3);
  }
  std::istringstream mounts(mountinfo_text);
  for (std::string line; !own.empty() && std::getline(mounts, line);) {
    // proc(5): id, parent, device, root, mount point, options, optional fields, "-", type, source, options
    if (line.find(" - cgroup2 ") == line.npos) continue;
    std::istringstream fields(line);
    std::string id, parent, device, root, point;
    fields >> id >> parent >> device >> root >> point;
    if (root == "/") root.clear();
    if (own.rfind(root, 0) == 0) return fs::path(point + own.substr(root.size())).lexically_normal();
  }
  return no_cgroups("this system has no cgroup v2 that hawserd stands in; limits are held by rlimits and by looking");
}

Result<CgroupTree> CgroupTree::take_over() {
  const auto folder = own_cgroup(text_of("/proc/self/cgroup").value_or(""), text_of("/proc/self/mountinfo").value_or(""));
  if (!folder) return folder.error();
  fs::path base = *folder;
  if (!base.has_filename()) base = base.parent_path();  // of "/sys/fs/cgroup/"
  if (is_root(base)) {
    if (const auto given = delegate(base); !given) return given.error();
    remove_strays(base);
    base /= kRootChild + std::to_string(::getpid());
    if (const auto made = make_leaf(base); !made) return no_cgroups(made.error().message);
  } else if (const auto alone = only_we_are_in(base); !alone) {
    return alone.error();
  }
  const fs::path agent = base / "agent";
  if (const auto made = make_leaf(agent); !made) return no_cgroups(made.error().message);
  if (const auto moved = write_to(agent / "cgroup.procs", "0"); !moved) return no_cgroups(moved.error().message);
  if (const auto given = delegate(base); !given) {
    // Back to where the service manager had put us.
    if (const auto back = write_to(*folder / "cgroup.procs", "0"); !back) spdlog::warn("{}", back.error().message);
    ::rmdir(agent.c_str());
    return given.error();
  }
  return CgroupTree(base);
}

Status CgroupTree::admit(const std::string& plugin, pid_t host, const config::PluginLimits& limits) {
  const fs::path folder = leaf(plugin);
  if (const auto made = make_leaf(folder); !made) return made;
  std::error_code unknown;
  // Memory that is swapped out would be a way around the limit; not every kernel has swap at all.
  if (fs::exists(folder / "memory.swap.max", unknown)) {
    if (const auto set = write_to(folder / "memory.swap.max", "0"); !set) return set;
  }
  const std::pair<const char*, std::string> settings[] = {
      {"memory.max", std::to_string(*limits.memory_bytes)},
      {"memory.oom.group", "1"},
      {"cpu.max", std::to_string(*limits.cpu_percent * kCpuPeriodUs / 100) + " " + std::to_string(kCpuPeriodUs)},
      {"pids.max", std::to_string(*limits.threads)},
      {"cgroup.procs", std::to_string(host)}};
  for (const auto& [file, text] : settings) {
    if (const auto set = write_to(folder / file, text); !set) return set;
  }
  leaves_[plugin] = number_after(text_of(folder / "memory.events").value_or(""), "oom_kill");
  return ok();
}

bool CgroupTree::ran_out_of_memory(const std::string& plugin) const {
  const auto known = leaves_.find(plugin);
  if (known == leaves_.end()) return false;
  return number_after(text_of(leaf(plugin) / "memory.events").value_or(""), "oom_kill") > known->second;
}

std::optional<std::int64_t> CgroupTree::memory_bytes(const std::string& plugin) const {
  const auto text = text_of(leaf(plugin) / "memory.current");
  if (!text) return std::nullopt;
  return std::strtoll(text->c_str(), nullptr, 10);
}

void CgroupTree::remove(const std::string& plugin) {
  if (leaves_.erase(plugin) == 0) return;
  const fs::path folder = leaf(plugin);
  std::error_code unknown;
  if (fs::exists(folder / "cgroup.kill", unknown)) {  // Linux 5.14
    if (const auto killed = write_to(folder / "cgroup.kill", "1"); !killed) spdlog::warn("{}", killed.error().message);
  }
  // What still dies in it keeps it; the next host of the plugin takes it over then.
  if (::rmdir(folder.c_str()) != 0 && errno != EBUSY)
    spdlog::warn("cannot remove {}: {}", folder.string(), std::strerror(errno));
}

}  // namespace hawser::supervisor
