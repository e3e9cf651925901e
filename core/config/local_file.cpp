#include "core/config/local_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>

#include "core/base/waker.hpp"

namespace hawser::config {
namespace {

namespace fs = std::filesystem;

constexpr const char* kHead =
    "# Written by hawserctl, which keeps the values that stand here (comments go into another file), and leaves every\n"
    "# other file alone. Lists replace the ones of the files before: [[cloud.server]] here is the whole list of "
    "servers.\n\n";
constexpr const char* kLockFile = ".hawserctl.lock";
constexpr std::chrono::milliseconds kLockRetry{20};

// "a.b.c" from its front: "a", and "b.c".
std::pair<std::string, std::string> split(const std::string& key) {
  const auto dot = key.find('.');
  return {key.substr(0, dot), dot == key.npos ? "" : key.substr(dot + 1)};
}

const Node* find_in(const Node& table, const std::string& key) {
  const auto [name, rest] = split(key);
  const Node* found = table.find(name);
  return !found || rest.empty() ? found : find_in(*found, rest);
}

void set_in(Node& table, const std::string& key, Node value) {
  const auto [name, rest] = split(key);
  auto member =
      std::find_if(table.members.begin(), table.members.end(), [&key = name](Member& m) { return m.name == key; });
  if (member == table.members.end()) {
    table.members.push_back({name, {}, {}});
    member = table.members.end() - 1;
  }
  if (rest.empty()) {
    member->node = std::move(value);
  } else {
    if (member->node.kind != Node::Kind::Table) member->node = Node();
    set_in(member->node, rest, std::move(value));
  }
}

// Leaves no empty table behind.
void remove_in(Node& table, const std::string& key) {
  const auto [name, rest] = split(key);
  const auto member =
      std::find_if(table.members.begin(), table.members.end(), [&key = name](Member& m) { return m.name == key; });
  if (member == table.members.end()) return;
  if (!rest.empty()) remove_in(member->node, rest);
  const bool empty = member->node.kind == Node::Kind::Table && member->node.members.empty();
  if (rest.empty() || empty) table.members.erase(member);
}

// A file of its own, which only who may write the configuration can open: nobody else can hold it. The kernel lets go
// of it when the process ends, however it ends.
Result<Descriptor> lock(const fs::path& config_dir, std::chrono::milliseconds limit) {
  const fs::path path = config_dir / kLockFile;
  const TimePoint deadline = Clock::now() + limit;
  Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file && (errno == EACCES || errno == EPERM))
    return Error{"not_permitted", "uid " + std::to_string(::geteuid()) + " may not change the configuration in " +
                                      config_dir.string() + "; run hawserctl as root"};
  if (!file && errno == ENOENT)
    return Error{"not_found", config_dir.string() + " does not exist; create it with hawser.toml in it, or name the " +
                                  "right folder with --config"};
  if (!file) return Error{"io_error", "cannot open " + path.string() + ": " + std::strerror(errno)};
  while (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR)
      return Error{"io_error", "cannot lock " + path.string() + ": " + std::strerror(errno)};
    if (Clock::now() >= deadline)
      return Error{"busy", "another hawserctl has been changing the configuration for " +
                               std::to_string(limit.count() / 1000) + " s (fuser " + path.string() +
                               " names it); nothing was changed, try again when it is done"};
    std::this_thread::sleep_for(kLockRetry);
  }
  return file;
}

// What an earlier hawserctl left that was killed while it wrote. Only under the lock.
void remove_leftovers(const fs::path& target) {
  const std::string begin = "." + target.filename().string() + ".", end = ".new";
  std::vector<fs::path> found;
  std::error_code ignored;
  for (fs::directory_iterator entry(target.parent_path(), ignored), last; !ignored && entry != last;
       entry.increment(ignored)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with(begin) && name.ends_with(end)) found.push_back(entry->path());
  }
  for (const auto& path : found) fs::remove(path, ignored);
}

std::optional<std::string> text_of(const fs::path& file) {
  auto text = read_file(file, kFileBytesMax);
  return text ? std::optional(std::move(*text)) : std::nullopt;
}

Error first_fault(const Faults& faults) { return {"bad_config", faults.faults().front()}; }

// A fault of the text that is not in the file yet: its line says nothing to anybody.
std::string without_place(const std::string& line, const fs::path& file) {
  if (!line.starts_with(file.string() + ":")) return line;
  const auto end = line.find(": ");
  return end == line.npos ? line : line.substr(end + 2);
}

}  // namespace

Result<LocalFile> LocalFile::open(fs::path config_dir, std::chrono::milliseconds limit) {
  LocalFile file(std::move(config_dir));
  auto locked = lock(file.config_dir_, limit);
  if (!locked) return locked.error();
  file.lock_ = std::move(*locked);
  Faults faults;
  std::error_code ignored;
  const auto add = [&](const fs::path& path) {
    if (auto tree = read_toml(path, faults)) merge(file.before_, std::move(*tree));
  };
  add(file.config_dir_ / "hawser.toml");
  for (const auto& path : toml_files(file.config_dir_ / "conf.d", faults)) {
    if (path < file.path()) add(path);
  }
  file.old_text_ = text_of(file.path());
  if (fs::exists(fs::symlink_status(file.path(), ignored))) {
    if (auto tree = read_toml(file.path(), faults)) file.own_ = std::move(*tree);
  }
  if (faults.count() > 0) return first_fault(faults);
  return file;
}

const Node* LocalFile::find(const std::string& key) const {
  const Node* own = find_in(own_, key);
  return own ? own : find_in(before_, key);
}

void LocalFile::set(const std::string& key, Node value) {
  set_in(own_, key, std::move(value));
  keys_set_.push_back(key);
}

void LocalFile::remove(const std::string& key) {
  remove_in(own_, key);
  keys_set_.push_back(key);
}

// "FILE sets KEY" for each later file that has the last word on a key that was set here.
std::vector<std::string> LocalFile::later_files() const {
  std::vector<fs::path> later;
  Faults told_by_load;
  for (const auto& file : toml_files(config_dir_ / "conf.d", told_by_load)) {
    if (file > path()) later.push_back(file);
  }
  if (const Node* site = find("device.site"); site && site->kind == Node::Kind::Text && !site->text.empty())
    later.push_back(config_dir_ / "sites" / (site->text + ".toml"));
  std::vector<std::string> lines;
  std::error_code ignored;
  for (const auto& path : later) {
    Faults faults;
    if (!fs::exists(path, ignored)) continue;
    const auto tree = read_toml(path, faults);
    for (const auto& key : keys_set_) {
      if (tree && find_in(*tree, key))
        lines.push_back(key + ": takes no effect, since " + path.string() + " is read later and sets it too");
    }
  }
  return lines;
}

Status LocalFile::put(const std::string& text, Written& written) const {
  if (text_of(path()) != old_text_)
    return Error{"busy", path().string() + " was changed by somebody else meanwhile; nothing was written, try again"};
  if (const auto folder = make_folder(path().parent_path(), 0755); !folder) return folder;
  remove_leftovers(path());
  const auto done = write_file_atomically(path(), text, 0600);
  if (done || text_of(path()) != text) return done;
  written.warnings.push_back("it is written, but a power cut may undo it: " + done.error().message);
  return ok();
}

Result<LocalFile::Written> LocalFile::write(const DeviceSources& sources) {
  const std::string text = kHead + to_toml(own_);
  const auto before = load(config_dir_, sources);
  const auto after = load(config_dir_, sources, Overlay{kLocalFile, text});
  Written written;
  std::string faults;
  for (const auto& line : after.faults) {
    const bool old = std::find(before.faults.begin(), before.faults.end(), line) != before.faults.end();
    if (old) written.warnings.push_back("the configuration has a fault still: " + line);
    if (!old) faults += (faults.empty() ? "" : "\n") + without_place(line, path());
  }
  if (!faults.empty()) return Error{"bad_config", faults};
  for (const auto& line : after.warnings) {
    if (std::find(before.warnings.begin(), before.warnings.end(), line) == before.warnings.end())
      written.warnings.push_back(without_place(line, path()));
  }
  for (auto& line : later_files()) written.warnings.push_back(std::move(line));
  written.changed = old_text_ != text;
  if (written.changed) {
    if (const auto done = put(text, written); !done) return done.error();
  }
  lock_.reset();
  return written;
}

}  // namespace hawser::config
