#pragma once

#include <fstream>

#include "core/host/spool.hpp"
#include "core/host/spool_format.hpp"
#include "tests/catch.hpp"
#include "tests/test_folder.hpp"

namespace hawser::host::testing {

namespace fs = std::filesystem;

using Texts = std::vector<std::string>;

// The real folder, and what a test makes it refuse.
struct Refusing : SpoolFiles {
  struct Wishes {
    bool append = false, sync = false, create = false;
    int syncs = 0;
  };
  Refusing(std::unique_ptr<SpoolFiles> real, Wishes& wishes) : real_(std::move(real)), wishes_(wishes) {}
  static Status no() { return Error{"io", "the test refuses"}; }

  Result<std::vector<std::string>> list() override { return real_->list(); }
  Result<std::string> read(const std::string& name, std::uint64_t offset, std::size_t bytes) override {
    return real_->read(name, offset, bytes);
  }
  Result<std::uint64_t> size(const std::string& name) override { return real_->size(name); }
  Status create(const std::string& name) override { return wishes_.create ? no() : real_->create(name); }
  Status append(const std::string& name, std::string_view bytes) override {
    if (!wishes_.append) return real_->append(name, bytes);
    CHECK(real_->append(name, bytes.substr(0, bytes.size() / 2)));  // as a disk that becomes full
    return no();
  }
  Status cut(const std::string& name, std::uint64_t bytes) override { return real_->cut(name, bytes); }
  Status sync(const std::string& name) override {
    ++wishes_.syncs;
    return wishes_.sync ? no() : real_->sync(name);
  }
  Status sync_folder() override { return real_->sync_folder(); }
  Status rename(const std::string& from, const std::string& to) override { return real_->rename(from, to); }
  Status remove(const std::string& name) override { return real_->remove(name); }
  std::string boot() override { return real_->boot(); }

  std::unique_ptr<SpoolFiles> real_;
  Wishes& wishes_;
};

// A folder, and the spool that a host after the other opens in it.
struct Stage {
  TestFolder folder;
  fs::path path = folder.path() / "spool";
  Refusing::Wishes wishes;
  Spool::Recovery recovery;
  int streams = 0;
  std::optional<Spool> spool;

  explicit Stage(std::size_t bytes_max = kSpoolBytesDefault, bool relaxed = false) { open(bytes_max, relaxed); }

  Spool& open(std::size_t bytes_max = kSpoolBytesDefault, bool relaxed = false) {
    spool.reset();
    recovery = {};
    auto files = spool_folder(path);
    REQUIRE(files);
    spool.emplace(Spool::open(
        std::make_unique<Refusing>(std::move(*files), wishes), bytes_max, relaxed,
        [this] { return "stream-" + std::to_string(++streams); }, recovery));
    INFO(words());
    return *spool;
  }
  std::string words() const {
    std::string all;
    for (const auto& each : recovery.words) all += each + "\n";
    return all;
  }
  std::uint64_t add(const std::string& bytes) {
    const auto ticket = spool->append(Spool::Kind::Payload, bytes);
    return ticket ? *ticket : 0;
  }
  // Payloads from first() on; "-" for each one that is lost.
  Texts all() {
    Texts found;
    for (std::uint64_t ticket = spool->first(); ticket < spool->next(); ++ticket) {
      auto record = spool->read(ticket);
      found.push_back(record ? record->bytes : "-");
    }
    return found;
  }
  std::vector<fs::path> segments() const {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(path))
      if (entry.path().extension() == ".seg") found.push_back(entry.path());
    std::sort(found.begin(), found.end());
    return found;
  }
};

inline std::string slurp(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
inline void spit(const fs::path& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

}  // namespace hawser::host::testing
