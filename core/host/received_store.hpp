#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "core/base/result.hpp"

namespace hawser::host {

// The stream of the cloud and the highest of its numbers that the plugin took.
struct Received {
  std::string stream;
  std::uint64_t number = 0;
  bool operator==(const Received&) const = default;
};

// Where that is kept over restarts. Behind an interface so that a test can count and refuse writes.
class ReceivedStore {
 public:
  virtual ~ReceivedStore() = default;
  virtual Received load() = 0;
  virtual Status save(const Received& received) = 0;  // on stable storage when it returns
};

// One file per service in the plugin's state folder. Owned by and used on one thread.
class ReceivedFile : public ReceivedStore {
 public:
  ReceivedFile(const std::filesystem::path& state_dir, const std::string& service);
  // A missing or damaged file counts as nothing received: the cloud then sends again, and nothing is lost.
  Received load() override;
  Status save(const Received& received) override;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace hawser::host
