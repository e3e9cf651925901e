#pragma once

#include <dirent.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

namespace hawser::supervisor {

// Adds up what a plugin's state folder takes on the disk, a slice at a time, so that a folder of a million files holds up
// nobody. The plugin can change all of it meanwhile: no link is followed, and the worst it does is to miscount itself.
class DiskWalk {
 public:
  static constexpr std::int64_t kEntryBytesLeast = 1024;  // an empty file costs the disk, too
  static constexpr std::size_t kDepthMax = 16;            // each level is an open descriptor

  explicit DiskWalk(const std::filesystem::path& folder);

  // Looks at no more than `entries`. True when all is added up.
  bool step(std::size_t entries);
  std::int64_t bytes() const { return bytes_; }
  bool too_deep() const { return too_deep_; }  // then bytes() lacks what is below

 private:
  using Folder = std::unique_ptr<DIR, int (*)(DIR*)>;
  void enter(int parent, const char* name);

  std::vector<Folder> open_;
  std::int64_t bytes_ = 0;
  bool too_deep_ = false;
};

}  // namespace hawser::supervisor
