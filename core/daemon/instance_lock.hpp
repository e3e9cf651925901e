#pragma once

#include <filesystem>

#include "core/base/files.hpp"
#include "core/base/result.hpp"

namespace hawser::daemon {

// Holds STATE_DIR/hawserd.lock, with our process number in it, until it is destroyed: two agents on one device key
// would throw each other out of the cloud. Owned by main().
class InstanceLock {
 public:
  // Error "busy" names the process that holds it.
  static Result<InstanceLock> take(const std::filesystem::path& state_dir);

 private:
  explicit InstanceLock(Descriptor file) : file_(std::move(file)) {}
  Descriptor file_;
};

}  // namespace hawser::daemon
