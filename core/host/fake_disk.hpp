#pragma once

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "core/host/spool.hpp"

namespace hawser::host::testing {

// A disk in memory that loses what real ones may lose. What was not synced is, after a power cut, there in part, torn at
// any byte, or a run of zeros; a name that no sync_folder() followed is there or not. After a failed sync the bytes still
// read back, count as clean, and are perhaps on no disk: a later sync of the same file does not bring them there.
// Used by one thread.
class FakeDisk {
 public:
  enum class Op { Create, Append, Cut, Sync, SyncFolder, Rename, Remove };
  static constexpr std::size_t kBlock = 512;
  static constexpr std::uint64_t kNever = std::numeric_limits<std::uint64_t>::max();

  explicit FakeDisk(std::uint64_t seed) : random_(seed) {}

  std::unique_ptr<SpoolFiles> files() { return std::make_unique<Files>(*this); }

  // ---- what a test does to it
  void cut_power_in(std::uint64_t changes) { dies_in_ = changes; }  // in the middle of the one that is then due
  void fail_next_sync() { fail_sync_ = true; }
  void fail_next_append() { fail_append_ = true; }  // ENOSPC after a part was written
  void read_only(bool on) { read_only_ = on; }
  void set_capacity(std::size_t bytes) { capacity_ = bytes; }
  void short_reads(bool on) { short_reads_ = on; }

  // The process died; the machine did not.
  void killed() { dies_in_ = kNever, dead_ = false; }
  void power_cut() {
    killed();
    ++boot_;
    for (auto& [name, inode] : known_inodes()) lose(*inode);
    const bool in_order = below(4) > 0;  // as ext4 and xfs do; the rest is any other file system
    const std::size_t kept = below(folder_pending_.size() + 1);
    for (std::size_t i = 0; i < folder_pending_.size(); ++i)
      if (in_order ? i < kept : below(2) == 0) apply(folder_pending_[i], durable_);
    folder_pending_.clear();
    live_ = durable_;
    fail_sync_ = fail_append_ = false;
  }
  void heal() {
    fail_sync_ = fail_append_ = read_only_ = false;
    capacity_ = std::numeric_limits<std::size_t>::max();
  }

  // ---- looking and damaging
  std::size_t used() const {
    std::size_t sum = 0;
    for (const auto& [name, inode] : live_) sum += inode->live.size();
    return sum;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    for (const auto& [name, inode] : live_) found.push_back(name);
    return found;
  }
  const std::string& content(const std::string& name) const { return live_.at(name)->live; }
  void replace(const std::string& name, std::string bytes) {
    auto inode = std::make_shared<Inode>();
    inode->live = inode->durable = std::move(bytes);
    live_[name] = durable_[name] = inode;
  }
  void lose_file(const std::string& name) { live_.erase(name), durable_.erase(name); }
  // As it stands now, all of it durable.
  FakeDisk copy(std::uint64_t seed) const {
    FakeDisk other(seed);
    for (const auto& [name, inode] : live_) other.replace(name, inode->live);
    return other;
  }

 private:
  struct Change {
    bool cut = false;
    std::string bytes;         // appended
    std::uint64_t length = 0;  // cut to
  };
  struct Inode {
    std::string live, durable;
    std::vector<Change> pending;
  };
  using Folder = std::map<std::string, std::shared_ptr<Inode>>;
  struct FolderChange {
    Op op;
    std::string name, to;
    std::shared_ptr<Inode> inode;
  };

  std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
  static Error io(const std::string& words) { return {"io", words}; }

  Folder known_inodes() const {
    Folder all = live_;
    int n = 0;
    for (const auto& [name, inode] : durable_) all.emplace(name + "#" + std::to_string(++n), inode);
    for (const auto& change : folder_pending_)
      if (change.inode) all.emplace(change.name + "#" + std::to_string(++n), change.inode);
    return all;
  }

  static void apply(const FolderChange& change, Folder& folder) {
    if (change.op == Op::Create) folder[change.name] = change.inode;
    if (change.op == Op::Remove) folder.erase(change.name);
    if (change.op == Op::Rename) folder.erase(change.name), folder[change.to] = change.inode;
  }
  static void apply(const Change& change, std::string& content) {
    if (change.cut)
      content.resize(change.length, '\0');
    else
      content += change.bytes;
  }
  // Blocks that never reached the disk read as zeros.
  void zero_some(std::string& content, std::size_t from) {
    const bool all = below(3) == 0;
    for (std::size_t at = from; at < content.size();) {
      const std::size_t end = std::min(content.size(), (at / kBlock + 1) * kBlock);
      if (all || below(2) == 0)
        std::fill(content.begin() + static_cast<long>(at), content.begin() + static_cast<long>(end), '\0');
      at = end;
    }
  }
  void lose(Inode& inode) {
    const std::size_t kept = below(inode.pending.size() + 1);
    const std::size_t safe = inode.durable.size();
    for (std::size_t i = 0; i < kept; ++i) apply(inode.pending[i], inode.durable);
    if (kept < inode.pending.size() && !inode.pending[kept].cut) {
      const std::string& bytes = inode.pending[kept].bytes;
      inode.durable += bytes.substr(0, below(bytes.size() + 1));
    }
    if (inode.durable.size() > safe && below(3) == 0) zero_some(inode.durable, safe);
    inode.live = inode.durable;
    inode.pending.clear();
  }

  // What every change begins with; an Error when it must not happen at all.
  Status begin() {
    if (dead_) return io("the power is off");
    if (dies_in_ != kNever && dies_in_-- == 0) {
      dead_ = true;
      return io("the power went off");
    }
    if (read_only_) return io("EROFS: read-only file system");
    return ok();
  }
  Result<std::shared_ptr<Inode>> find(const std::string& name) const {
    const auto found = live_.find(name);
    if (found == live_.end()) return io("ENOENT: " + name);
    return found->second;
  }
  void note(FolderChange change) {
    apply(change, live_);
    folder_pending_.push_back(std::move(change));
  }

  class Files : public SpoolFiles {
   public:
    explicit Files(FakeDisk& disk) : disk_(disk) {}
    Result<std::vector<std::string>> list() override { return disk_.names(); }
    Result<std::string> read(const std::string& name, std::uint64_t offset, std::size_t bytes) override {
      auto inode = disk_.find(name);
      if (!inode) return inode.error();
      const std::string& live = (*inode)->live;
      if (offset >= live.size()) return std::string();
      bytes = std::min(bytes, live.size() - static_cast<std::size_t>(offset));
      if (disk_.short_reads_ && bytes > 1) bytes = 1 + disk_.below(bytes);
      return live.substr(offset, bytes);
    }
    Result<std::uint64_t> size(const std::string& name) override {
      auto inode = disk_.find(name);
      if (!inode) return inode.error();
      return static_cast<std::uint64_t>((*inode)->live.size());
    }
    Status create(const std::string& name) override {
      if (auto may = disk_.begin(); !may) return may;
      if (disk_.live_.contains(name)) return io("EEXIST: " + name);
      if (disk_.used() >= disk_.capacity_) return io("ENOSPC: no space left on device");
      disk_.note({Op::Create, name, "", std::make_shared<Inode>()});
      return ok();
    }
    Status append(const std::string& name, std::string_view bytes) override {
      const bool was_dead = disk_.dead_;
      Status may = disk_.begin();
      auto inode = disk_.find(name);
      if (!inode) return inode.error();
      const auto take = [&](std::size_t count) {
        if (count == 0) return;
        (*inode)->live += bytes.substr(0, count);
        (*inode)->pending.push_back({false, std::string(bytes.substr(0, count)), 0});
      };
      if (!may) {
        if (disk_.dead_ && !was_dead) take(disk_.below(bytes.size() + 1));  // the one in which the power went
        return may;
      }
      const std::size_t used = disk_.used();
      const std::size_t room = disk_.capacity_ > used ? disk_.capacity_ - used : 0;
      if (disk_.fail_append_ || room < bytes.size()) {
        take(std::min(room, static_cast<std::size_t>(disk_.below(bytes.size()))));
        disk_.fail_append_ = false;
        return io("ENOSPC: no space left on device");
      }
      take(bytes.size());
      return ok();
    }
    Status cut(const std::string& name, std::uint64_t bytes) override {
      if (auto may = disk_.begin(); !may) return may;
      auto inode = disk_.find(name);
      if (!inode) return inode.error();
      (*inode)->live.resize(bytes, '\0');
      (*inode)->pending.push_back({true, "", bytes});
      return ok();
    }
    Status sync(const std::string& name) override {
      const bool was_dead = disk_.dead_;
      Status may = disk_.begin();
      auto inode = disk_.find(name);
      if (!inode) return inode.error();
      if (!may) {
        if (disk_.dead_ && !was_dead && disk_.below(2) == 0) disk_.settle(**inode);  // it got through, nobody heard
        return may;
      }
      if (disk_.fail_sync_) {
        disk_.fail_sync_ = false;
        const std::size_t safe = (*inode)->durable.size();
        disk_.settle(**inode);
        if ((*inode)->durable.size() > safe) disk_.zero_some((*inode)->durable, safe);
        return io("EIO: input/output error");
      }
      disk_.settle(**inode);
      return ok();
    }
    Status sync_folder() override {
      if (auto may = disk_.begin(); !may) return may;
      for (const auto& change : disk_.folder_pending_) apply(change, disk_.durable_);
      disk_.folder_pending_.clear();
      return ok();
    }
    Status rename(const std::string& from, const std::string& to) override {
      if (auto may = disk_.begin(); !may) return may;
      auto inode = disk_.find(from);
      if (!inode) return inode.error();
      disk_.note({Op::Rename, from, to, *inode});
      return ok();
    }
    Status remove(const std::string& name) override {
      if (auto may = disk_.begin(); !may) return may;
      if (!disk_.live_.contains(name)) return ok();
      disk_.note({Op::Remove, name, "", nullptr});
      return ok();
    }
    std::string boot() override { return "boot-" + std::to_string(disk_.boot_); }

   private:
    FakeDisk& disk_;
  };

  void settle(Inode& inode) {
    for (const auto& change : inode.pending) apply(change, inode.durable);
    inode.pending.clear();
  }

  std::mt19937_64 random_;
  Folder live_, durable_;
  std::vector<FolderChange> folder_pending_;
  std::uint64_t dies_in_ = kNever;
  int boot_ = 1;
  bool dead_ = false, fail_sync_ = false, fail_append_ = false, read_only_ = false, short_reads_ = false;
  std::size_t capacity_ = std::numeric_limits<std::size_t>::max();
};

}  // namespace hawser::host::testing
